-- graves.lua: dead and quarantined jobs are kept until a person decides; ends.lua buries them.

-- It is not one of them any more; nothing of it is deleted.
local function unbury(id)
  call('ZREM', K('dead'), id)
  call('ZREM', K('quar'), id)
  call('ZREM', K('seen'), id)
  call('DECRBY', K('kept'), call('HGET', K('j:' .. id), 'bytes') or 0)
  call('HDEL', K('j:' .. id), 'bytes')
end

local function forget_dead(id)
  unbury(id)
  call('DEL', K('j:' .. id), K('b:' .. id), K('s:' .. id))
end
