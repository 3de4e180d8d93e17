-- cron_remove: forgets a schedule. Its jobs stay.
-- ARGV: id
-- Reply: 1, or 0 if there was none.
-- Sent twice: 0.
call('ZREM', K('cron'), ARGV[1])
call('SREM', K('crons'), ARGV[1])
return call('DEL', K('cron:' .. ARGV[1]))
