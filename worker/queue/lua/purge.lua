-- purge: forgets a dead or quarantined job, or one that has ended otherwise, with all that is known of it: its
-- body, what it has stored, its result and its steps. The same id would run again.
-- ARGV: job
-- Reply: 1 gone; 0 it has not ended, or is not there.
-- Sent twice: 0.
-- With: graves
local id = ARGV[1]
local state = call('HGET', K('j:' .. id), 'state')
if state and state ~= 'dead' and state ~= 'quarantined' then
  return 0
end
if state then
  forget_dead(id)
end
if call('DEL', K('res:' .. id), K('log:' .. id)) == 0 and not state then
  return 0
end
event('purged', id)
return 1
