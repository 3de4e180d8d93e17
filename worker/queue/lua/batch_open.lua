-- batch_open: a job drives a batch.
-- ARGV: batch, job, body of the job that made it ('' to go on with one that is there), collection, flow, name,
--       budget in nano-dollars or '', rows of an input that are there already or ''
-- Reply: {'state', its state}; empty: there is none, or another job drives it.
-- Sent twice: the same.
-- With: batches
local batch, job, body, collection, flow, name, budget, rows = unpack(ARGV)
local key = K('bat:' .. batch)
if call('EXISTS', key) == 0 then
  if body == '' then
    return {}
  end
  call('HSET', key, 'id', batch, 'state', rows ~= '' and 'running' or 'listing', 'job', job, 'body', body, 'collection', collection,
    'flow', flow, 'name', name, 'created', now, 'cursor', 0, 'fed', 0, 'gone', 0, 'runs', 1)
  if rows ~= '' then
    call('HSET', key, 'input', 1, 'total', call('LLEN', K('bk:' .. batch)))
  end
  if budget ~= '' then
    call('HSET', key, 'budget', budget)
  end
  call('ZADD', K('bats'), now, batch)
  call('ZREMRANGEBYSCORE', K('bats'), '-inf', now - BATCH_KEPT)
  keep_batch(batch)
end
if call('HGET', key, 'job') ~= job then
  return {}
end
return {'state', call('HGET', key, 'state')}
