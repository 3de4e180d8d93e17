-- batch_end: a batch has come to its end.
-- ARGV: batch, job
-- Reply: 1; 0: it is not running, or another job drives it.
-- Sent twice: 0.
-- With: batches
local bat = K('bat:' .. ARGV[1])
local b = fields(bat, 'job', 'state')
if b.job ~= ARGV[2] or b.state ~= 'running' then
  return 0
end
call('HSET', bat, 'state', 'done', 'ended', now)
keep_batch(ARGV[1])
return 1
