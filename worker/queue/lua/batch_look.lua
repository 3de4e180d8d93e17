-- batch_look: how a batch is.
-- ARGV: batch
-- Reply: {the batch, its jobs by state, items that have ended, spent, reserved, may have been spent, workers,
--        state of the job that drives it or '', result of that job or ''}; empty: there is none.
-- Reads only.
local batch = ARGV[1]
local all, bat = call('HGETALL', K('bat:' .. batch)), {}
if #all == 0 then
  return {}
end
for i = 1, #all, 2 do
  if all[i] ~= 'body' then
    bat[#bat + 1] = all[i]
    bat[#bat + 1] = all[i + 1]
  end
end
local job = call('HGET', K('bat:' .. batch), 'job') or ''
local b = fields(K('bud:batch:' .. batch .. ':total'), 's', 'r', 'u')
local driver = call('HGET', K('j:' .. job), 'state') or ''
for _, entry in ipairs(driver == '' and call('XREVRANGE', K('in'), '+', '-', 'COUNT', 1000) or {}) do
  for i = 1, #entry[2], 2 do
    if entry[2][i] == 'id' and entry[2][i + 1] == job then
      driver = 'ready'
    end
  end
end
return {bat, call('HGETALL', K('bt:' .. batch)), call('HLEN', K('bi:' .. batch)), number(b.s), number(b.r), number(b.u),
  call('ZCOUNT', K('wrk'), now - 30000, '+inf'), driver, call('GET', K('res:' .. job)) or ''}
