-- batch_set: somebody pauses a batch, lets it go on, or cancels it.
-- ARGV: batch, pause|resume|cancel, a new budget in nano-dollars ('' as it is), lane of the job that drives it on
-- Reply: the state now; '': there is no such batch.
-- Sent twice: the same, or a second driver: the first one gives way.
-- With: batches
local batch, what, budget, lane = unpack(ARGV)
local bat = K('bat:' .. batch)
local b = fields(bat, 'state', 'total')
if not b.state then
  return ''
end
if what == 'pause' and (b.state == 'running' or b.state == 'listing') then
  call('HSET', bat, 'state', 'paused')
elseif what == 'cancel' and b.state ~= 'done' then
  call('HSET', bat, 'state', 'cancelled', 'ended', now)
elseif what == 'resume' then
  if budget ~= '' then
    call('HSET', bat, 'budget', budget)
  end
  local job = 'batch:' .. batch .. '~' .. call('HINCRBY', bat, 'runs', 1)
  call('HSET', bat, 'state', b.total and 'running' or 'listing', 'job', job)
  call('HDEL', bat, 'ended')
  call('XADD', K('in'), '*', 'id', job, 'lane', lane, 'body', cjson.encode({batch = {id = batch}}))
end
keep_batch(batch)
call('PUBLISH', K('ctl'), 'work')
return call('HGET', bat, 'state')
