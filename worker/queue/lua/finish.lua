-- finish: the end of one run of a job.
-- ARGV: job, fence, worker, outcome (done dead cancelled hold park retry return), result, log, code,
--       at ms, route to go on with or '', scope that is full or '', TTL of result and of log ms,
--       what is noted of an item of a batch (JSON) or '', then texts to store as in store.lua
-- Reply: 1 done; 2 done, and the job is dead because it was tried `max` times; 0 the job is not ours.
-- Sent twice: 1 if nobody else has it since.
-- With: groups graves ends
local id, fence, worker, outcome = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local result, log, code, at_ms, route, full = ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8]), ARGV[9], ARGV[10]
local ttl_ms, log_ttl_ms, item = ARGV[11], ARGV[12], ARGV[13]
local jk = K('j:' .. id)
local j = fields(jk, 'fence', 'state', 'batch', 'reply', 'dedup', 'item', 'owner', 'cancel')
local ENDS = {done = 'done', dead = 'dead', cancelled = 'cancelled', hold = 'quarantined'}

if not j.state then
  return call('EXISTS', K('res:' .. id))
end
if j.fence ~= fence then
  return 0
end
if j.state ~= 'active' then
  return j.owner == worker and 1 or 0
end

if ENDS[outcome] then
  finish_job(id, j, ENDS[outcome], result, log, code, ttl_ms, log_ttl_ms, item)
  return 1
end
if j.cancel then
  finish_job(id, j, 'cancelled', plain_result(id, 'cancelled', 'CANCELLED', 'cancelled'), log, 'CANCELLED', ttl_ms,
    log_ttl_ms)
  return 1
end
if outcome == 'retry' and call('HINCRBY', jk, 'losses', 1) > number(call('HGET', jk, 'max') or 10) then
  finish_job(id, j, 'dead', result, log, code, ttl_ms, log_ttl_ms, item)
  return 2
end

local function store_texts()
  for i = 14, #ARGV, 3 do
    if ARGV[i + 1] == '1' then
      call('HSET', K('s:' .. id), ARGV[i], ARGV[i + 2])
    else
      call('HDEL', K('s:' .. id), ARGV[i])
    end
  end
end

-- The group of a job that met a limit sleeps until there is room; if a slot is what it needs, the
-- next one that becomes free wakes it.
local function wait_for_room()
  local group = group_of(j)
  set_state(id, j, 'ready')
  call('ZADD', K('q:' .. group), j.seq, id)
  block_group(group, at_ms)
  if full:sub(1, 5) == 'slot:' then
    call('SADD', K('wt:' .. full:sub(6)), group)
    call('PEXPIRE', K('wt:' .. full:sub(6)), 60000)
  end
end

local function put_back()
  j.lane, j.route, j.tenant, j.seq = unpack(call('HMGET', jk, 'lane', 'route', 'tenant', 'seq'))
  call('ZREM', K('lse'), id)
  store_texts()
  if route ~= '' then
    j.route = route
    call('HSET', jk, 'route', route)
  end
  if outcome == 'return' then
    make_ready(id, j)
    call('PUBLISH', K('ctl'), 'work')
  elseif outcome == 'park' and full ~= '' and full:sub(1, 6) ~= 'batch:' and at_ms > now then
    wait_for_room()
  else
    delay(id, j, outcome == 'park' and 'parked' or 'delayed', at_ms)
  end
  event(outcome, id, code)
  count(outcome)
  return 1
end

return put_back()
