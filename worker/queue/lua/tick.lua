-- tick: what every worker does every second for all: jobs and calls of dead workers, its own heartbeat,
-- entries of the door that were handed to a worker that died before filing them.
-- ARGV: worker, heartbeat as JSON, layout, digest of its limits, lease ms, ambiguous wait ms, result TTL ms,
--       how many of each at most, how many bytes dead and quarantined jobs may take (0: any)
-- Reply: {reaped, digests of the limits of all live workers, entries of the door as XRANGE gives them,
--        jobs that were lost too often and are quarantined now, as id, tenant, why, ..., live workers,
--        bytes that dead and quarantined jobs take}
-- Sent twice: finds less to do.
-- With: groups graves ends windows releases calls
local worker, heartbeat, layout, digest = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local lease_ms, wait_ms, ttl_ms, at_most = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], ARGV[8]
local HEARTBEAT_MS, SILENCE_MS, HOLD_MS = 30000, 3000, 2000
local CONNECT_MS = 15000 -- a connection is given up after ten seconds (common/http.c)
local room = tonumber(ARGV[9] or '0')
local stalled = {}

-- The provider makes the answer by itself, and its name there is known: it can be fetched at once.
local function is_made_over_there(id, permit)
  local p = permit_read(permit)
  return p and call('HEXISTS', K('s:' .. id), 'handle:' .. p.name) == 1
end

-- The lease of a job is over. Its last owner is fenced off at once. A call that may still be on the
-- wire is waited for: nobody asks again before it is certainly over, or wait_ms after the last sign of
-- life of the owner.
local function reap_job(id, lease_end)
  local jk = K('j:' .. id)
  call('ZREM', K('lse'), id .. LONG)
  local j = job_to_end(id)
  if not j.state then
    return
  end
  local losses = call('HINCRBY', jk, 'losses', 1)
  call('HINCRBY', jk, 'fence', 1)
  call('HDEL', jk, 'owner')
  count('lost')
  event('lost', id, j.owner)
  blame_item(j.item, CRASH_WEIGHT, 'STALLED')
  if losses > number(j.max or 10) then
    local why = 'its worker was lost ' .. losses .. ' times; `flow-worker jobs retry` runs it again'
    stalled[#stalled + 1] = id
    stalled[#stalled + 1] = j.tenant
    stalled[#stalled + 1] = why
    return finish_job(id, j, 'quarantined', plain_result(id, 'quarantined', 'STALLED', why), '', 'STALLED', ttl_ms)
  end
  if j.cancel then
    local result = plain_result(id, 'cancelled', 'CANCELLED', 'cancelled; its worker was lost')
    return finish_job(id, j, 'cancelled', result, '', 'CANCELLED', ttl_ms)
  end
  local over = math.min(number(j.call_end), lease_end - lease_ms + wait_ms)
  if j.permit and over > now and not is_made_over_there(id, j.permit) then
    return delay(id, j, 'ambiguous', over)
  end
  make_ready(id, j)
end

-- The owner of a call is taken for dead: its slots are free, what it held of windows counts until the call is
-- certainly over and a window longer, what it took of them counts from later on, its money may have been spent.
-- Windows and money are kept for a late answer.
local function reap_permit(permit)
  local p = permit_read(permit)
  call('ZREM', K('px'), permit .. LONG)
  if not p or p.reaped then
    return
  end
  local kept = {p.job, p.name, p.cost, p.most, p.ends, 1}
  for i = TAKEN, #p, 5 do
    local kind, scope, bucket, held = p[i], p[i + 1], p[i + 2], p[i + 3]
    if kind == 'slot' then
      call('ZREM', K('cs:' .. scope), permit .. LONG)
    elseif kind == 'budget' then
      call('HINCRBY', K('bud:' .. scope), 'r', 0 - p.cost) -- not -p.cost: that of 0 is "-0", which is no integer
      call('HINCRBY', K('bud:' .. scope), 'u', p.most)
    elseif bucket == 0 then
      window_release(scope, kind, held, held, bucket_at(kind, p.ends))
    else -- nobody tells any more when it came to the provider's door: while its owner lived, or was connecting, at the latest
      local _, size = window_sizes(kind)
      window_move(scope, kind, bucket, held, bucket_at(kind, math.min(now, bucket * size + math.max(lease_ms, CONNECT_MS))))
    end
    for k = i, kind == 'slot' and 0 or i + 4 do
      kept[#kept + 1] = p[k]
    end
  end
  call('SET', K('p:' .. permit), cmsgpack.pack(unpack(kept)), 'PX', '3600000')
  lose_call(p.job, p.name, permit)
end

-- Dead and quarantined jobs take more than they may: those that a person has looked at go, the oldest first. The
-- others stay, whatever they take: nobody knows yet what was lost.
local function make_room()
  local kept = number(call('GET', K('kept')))
  if room == 0 or kept <= room then
    return
  end
  for _, id in ipairs(call('ZRANGE', K('seen'), 0, 99)) do
    if kept <= room then
      return
    end
    kept = kept - number(call('HGET', K('j:' .. id), 'bytes') or nil)
    forget_dead(id)
    event('trimmed', id)
    count('trimmed')
  end
end

-- What was handed out by the door and is still there. The group's last delivered id bounds it, so a
-- long queue before the door is not read twice.
local function left_at_the_door()
  if call('XLEN', K('in')) == 0 then
    return {}
  end
  local groups = redis.pcall('XINFO', 'GROUPS', K('in'))
  local last
  for _, group in ipairs(groups.err and {} or groups) do
    local g = {}
    for i = 1, #group, 2 do
      g[group[i]] = group[i + 1]
    end
    if g.name == 'file' then
      last = g['last-delivered-id']
    end
  end
  if not last then
    redis.pcall('XGROUP', 'CREATE', K('in'), 'file', '0', 'MKSTREAM')
    return {}
  end
  return call('XRANGE', K('in'), '-', last, 'COUNT', at_most)
end

-- Nobody has ticked for some seconds: Redis was away, or everybody was stopped. Whoever lives is let say so first;
-- only then the others are taken for dead.
local function is_after_silence()
  local last = call('ZREVRANGE', K('wrk'), 0, 0, 'WITHSCORES')[2]
  if last and now - tonumber(last) > SILENCE_MS then
    call('SET', K('hold'), 1, 'PX', HOLD_MS)
  end
  return call('EXISTS', K('hold')) == 1
end

local held = is_after_silence()
call('HSET', K('w:' .. worker), 'state', heartbeat, 'layout', layout, 'limits', digest, 'at', now)
call('PEXPIRE', K('w:' .. worker), HEARTBEAT_MS)
call('ZADD', K('wrk'), now, worker)
call('ZREMRANGEBYSCORE', K('wrk'), '-inf', now - HEARTBEAT_MS)

-- What the counters were when this minute began.
local minute = K('m:' .. math.floor(now / 60000))
if call('EXISTS', minute) == 0 then
  call('HSET', minute, 'at', now, unpack(call('HGETALL', K('n'))))
  call('PEXPIRE', minute, DAY)
end

local leases = held and {} or call('ZRANGEBYSCORE', K('lse'), '-inf', now, 'WITHSCORES', 'LIMIT', 0, at_most)
for i = 1, #leases, 2 do
  reap_job(short(leases[i]), tonumber(leases[i + 1]))
end
for _, permit in ipairs(held and {} or call('ZRANGEBYSCORE', K('px'), '-inf', now, 'LIMIT', 0, at_most)) do
  reap_permit(short(permit))
end
local digests, seen = {}, {}
for _, other in ipairs(call('ZRANGE', K('wrk'), 0, -1)) do
  local d = call('HGET', K('w:' .. other), 'limits')
  if d and d ~= '' and not seen[d] then
    seen[d] = true
    digests[#digests + 1] = d
  end
end
make_room()
call('ZREMRANGEBYSCORE', K('itm'), '-inf', now)
return {#leases / 2, digests, left_at_the_door(), stalled, call('ZCARD', K('wrk')), number(call('GET', K('kept')))}
