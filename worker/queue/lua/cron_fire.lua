-- cron_fire: one tick of a schedule: fires it, or lets it pass, exactly once whoever asks.
-- ARGV: id, tick ms, next tick ms (0: none), fires (1, 0), skip while the last job is alive (1, 0),
--       put off by ms, lane, tenant ("" for the default), body
-- Reply: 1 fired, 0 passed, -1 somebody else was first.
-- Sent twice, or by several workers: the score is no longer that tick, so only the first one counts.
local id, tick, following, fires, skip = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1', ARGV[5] == '1'
local put_off, lane, tenant, body = tonumber(ARGV[6]), ARGV[7], ARGV[8], ARGV[9]
local key = K('cron:' .. id)
local score = call('ZSCORE', K('cron'), id)
if not score or tonumber(score) ~= tonumber(tick) or tonumber(score) > now then
  return -1
end
if tonumber(following) > 0 then
  call('ZADD', K('cron'), following, id)
else
  call('ZREM', K('cron'), id)
end

-- The job of the last tick: in the door, waiting, running, or between two runs.
local function is_alive(job)
  if not job then
    return false
  end
  local state = call('HGET', K('j:' .. job), 'state')
  if state then
    return state ~= 'dead' and state ~= 'quarantined'
  end
  local fired = tonumber(call('HGET', key, 'fired') or '0')
  return call('EXISTS', K('res:' .. job)) == 0 and now - fired < 60000
end

if not fires or (skip and is_alive(call('HGET', key, 'last') or nil)) then
  call('HINCRBY', key, 'passed', 1)
  return 0
end
local job = 'cron:' .. id .. ':' .. tick
local entry = {'id', job, 'lane', lane, 'body', body}
if tenant ~= '' then
  entry[#entry + 1] = 'tenant'
  entry[#entry + 1] = tenant
end
if put_off > 0 then
  entry[#entry + 1] = 'run_at'
  entry[#entry + 1] = string.format('%.0f', now + put_off)
end
call('XADD', K('in'), '*', unpack(entry))
call('HSET', key, 'last', job, 'fired', now)
call('HINCRBY', key, 'count', 1)
return 1
