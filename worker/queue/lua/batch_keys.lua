-- batch_keys: what a batch is to run for, as far as it was listed.
-- ARGV: batch, job, how many there were before, is that all 0|1, keys as JSON
-- Reply: how many there are now; -1: the batch was stopped, or another job drives it.
-- Sent twice: nothing is added again.
-- With: batches
local batch, job, before, is_all = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1'
local bat, list = K('bat:' .. batch), K('bk:' .. batch)
local b = fields(bat, 'job', 'state')
if b.job ~= job or (b.state ~= 'listing' and b.state ~= 'running') then
  return -1
end
if call('LLEN', list) == before and #ARGV > 4 then
  call('RPUSH', list, unpack(ARGV, 5))
end
local length = call('LLEN', list)
if is_all then
  call('HSET', bat, 'total', length)
  call('HSET', bat, 'state', 'running')
end
keep_batch(batch)
return length
