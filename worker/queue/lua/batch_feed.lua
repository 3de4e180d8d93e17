-- batch_feed: the next items of a batch go to the door, and the cursor behind them.
-- ARGV: batch, job, cursor before and after, how many of the keys are no items any more, lane, tenant,
--       then for each item: key, body
-- Reply: 1; 0: the batch is not running, or not at that cursor (any more).
-- Sent twice: 0.
-- With: batches
local batch, job, before, after, gone, lane, tenant = unpack(ARGV, 1, 7)
local bat = K('bat:' .. batch)
local b = fields(bat, 'job', 'state', 'cursor')
if b.job ~= job or b.state ~= 'running' or b.cursor ~= before then
  return 0
end
for i = 8, #ARGV, 2 do
  call('XADD', K('in'), '*', 'id', batch .. '#' .. ARGV[i], 'body', ARGV[i + 1], 'lane', lane, 'tenant', tenant,
    'batch', batch)
end
call('HSET', bat, 'cursor', after)
call('HINCRBY', bat, 'fed', (#ARGV - 7) / 2)
call('HINCRBY', bat, 'gone', gone)
keep_batch(batch)
return 1
