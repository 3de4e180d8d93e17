-- cron_due: which schedules are due, and when to look again.
-- ARGV: at most how many
-- Reply: {now, the next tick that is not due (-1: none), {id, tick, JSON, id, tick, JSON, ...}}
-- Changes nothing.
local due = {}
local found = call('ZRANGEBYSCORE', K('cron'), '-inf', now, 'WITHSCORES', 'LIMIT', 0, ARGV[1])
for i = 1, #found, 2 do
  due[#due + 1] = found[i]
  due[#due + 1] = found[i + 1]
  due[#due + 1] = call('HGET', K('cron:' .. found[i]), 'json') or ''
end
local after = call('ZRANGEBYSCORE', K('cron'), '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
return {now, after[2] and tonumber(after[2]) or -1, due}
