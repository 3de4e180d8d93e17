-- bye: a worker ends in peace; others need not wait for its heartbeat to stop.
-- ARGV: worker
-- Reply: 1
-- Sent twice: the same.
call('DEL', K('w:' .. ARGV[1]), K('cl:' .. ARGV[1]))
call('ZREM', K('wrk'), ARGV[1])
return 1
