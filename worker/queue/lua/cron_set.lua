-- cron_set: makes or changes a schedule.
-- ARGV: id, its JSON, when ("<expression>|<zone>|<enabled>"), next tick ms, origin (file, cli)
-- Reply: 1 it is new, 0 it was there. A tick that is waited for stays when `when` is the same.
-- Sent twice: nothing changes.
local id, json, when, tick, origin = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local key = K('cron:' .. id)
local before = call('HGET', key, 'when')
call('SADD', K('crons'), id)
call('HSET', key, 'json', json, 'when', when, 'origin', origin)
if before ~= when then
  if tonumber(tick) > 0 then
    call('ZADD', K('cron'), tick, id)
  else
    call('ZREM', K('cron'), id)
  end
end
return before and 0 or 1
