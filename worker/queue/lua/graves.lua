-- graves.lua: dead and quarantined jobs are kept until a person decides: how much that is.

-- What a job takes: its body, and what is stored with it.
local function bytes_of(id)
  local sk = K('s:' .. id)
  local bytes = call('STRLEN', K('b:' .. id))
  for _, name in ipairs(call('HKEYS', sk)) do
    bytes = bytes + #name + call('HSTRLEN', sk, name)
  end
  return bytes
end

local function bury(id, status)
  local bytes = bytes_of(id)
  call('ZADD', K(status == 'dead' and 'dead' or 'quar'), now, id)
  call('HSET', K('j:' .. id), 'bytes', bytes)
  call('INCRBY', K('kept'), bytes)
end

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
