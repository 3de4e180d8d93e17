-- purge: forgets a dead or quarantined job with all it has stored. Its result stays until its time is over.
-- ARGV: job
-- Reply: 1 gone; 0 it is neither dead nor quarantined, or not there.
-- Sent twice: 0.
local id = ARGV[1]
local j = fields(K('j:' .. id), 'state', 'batch')
if j.state ~= 'dead' and j.state ~= 'quarantined' then
  return 0
end
call('ZREM', K('dead'), id)
call('ZREM', K('quar'), id)
call('DEL', K('j:' .. id), K('b:' .. id), K('s:' .. id))
event('purged', id)
return 1
