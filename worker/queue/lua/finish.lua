-- finish: the end of one run of a job.
-- ARGV: job, fence, worker, outcome (done dead cancelled hold park retry return), result, log, code,
--       at ms, route to go on with or '', what it waits for: scope that is full, or '', or with retry
--       'directus <ms before which nobody is to ask it>', TTL of result and of log ms,
--       what is noted of an item of a batch (JSON) or '', then texts to store as in store.lua
-- (with park the result is what it waits for, in words)
-- Reply: 1 done; 2 done, and the job is dead because it was tried `max` times; 0 the job is not ours.
-- Sent twice: 1 if nobody else has it since.
-- Told of several at once: each.lua.
-- With: groups ends
local id, fence, worker, outcome = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local result, log, code, at_ms, route, full = ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8]), ARGV[9], ARGV[10]
local ttl_ms, log_ttl_ms, item = ARGV[11], ARGV[12], ARGV[13]
local jk = K('j:' .. id)
local got = call('HMGET', jk, 'fence', 'state', 'batch', 'reply', 'dedup', 'item')
local j = {fence = got[1], state = got[2], batch = got[3], reply = got[4], dedup = got[5], item = got[6]}

if not j.state then
  return call('EXISTS', K('res:' .. id))
end
if j.fence ~= fence then
  return 0
end
if j.state ~= 'active' then
  return call('HGET', jk, 'owner') == worker and 1 or 0
end

if outcome == 'done' or outcome == 'dead' or outcome == 'cancelled' or outcome == 'hold' then
  finish_job(id, j, outcome == 'hold' and 'quarantined' or outcome, result, log, code, ttl_ms, log_ttl_ms, item)
  return 1
end
if call('HEXISTS', jk, 'cancel') == 1 then
  finish_job(id, j, 'cancelled', plain_result(id, 'cancelled', 'CANCELLED', 'cancelled'), log, 'CANCELLED', ttl_ms,
    log_ttl_ms)
  return 1
end
local not_before = outcome == 'retry' and full:match('^directus (%d+)$')

-- Who waits for Directus is tried when it is its turn, not when its own time has come: it loses no more than if it were.
local function is_attempt()
  if not not_before or now >= number(call('HGET', jk, 'again')) then
    call('HSET', jk, 'again', at_ms)
    return true
  end
end

if outcome == 'retry' and is_attempt() and call('HINCRBY', jk, 'losses', 1) > number(call('HGET', jk, 'max') or 10) then
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

-- Directus is away. Who waits for it waits in groups whose route is "directus"; they sleep until one job of them is
-- let try (claim.lua), and go on when that has found it back (back.lua). If it has not, the next one tries.
local function wait_for_directus()
  local PAUSE_MS, PAUSE_MOST_MS, KEPT_MS = 2000, 5000, 3600000
  local rl = K('rl:directus')
  local open, probe, until_ms = unpack(call('HMGET', rl, 'open', 'probe', 'until'))
  if not open or probe == id then
    local level = number(open or nil) + 1
    until_ms = now + math.min(PAUSE_MOST_MS, PAUSE_MS * 2 ^ (level - 1))
    call('HSET', rl, 'open', level)
    call('HDEL', rl, 'probe')
  end
  if not open then
    event('circuit', id, 'directus')
    count('circuit_opened')
  end
  until_ms = string.format('%.0f', math.max(number(until_ms), tonumber(not_before)))
  call('HSET', rl, 'until', until_ms)
  call('PEXPIRE', rl, KEPT_MS)
  call('ZADD', K('slow'), now, 'directus')
  if j.route ~= 'directus' then
    call('HSET', jk, 'home', j.route, 'route', 'directus')
    j.route = 'directus'
  end
  if probe == id then -- the others come first now
    j.seq = call('INCRBY', K('seq'), 1)
    call('HSET', jk, 'seq', j.seq)
  end
  local group = group_of(j)
  set_state(id, j, 'ready')
  call('ZADD', K('q:' .. group), j.seq, id)
  block_group(group, until_ms)
  call('SADD', K('wt:directus'), group)
  call('PEXPIRE', K('wt:directus'), KEPT_MS)
end

local function put_back()
  j.lane, j.route, j.tenant, j.seq = unpack(call('HMGET', jk, 'lane', 'route', 'tenant', 'seq'))
  call('ZREM', K('lse'), id .. LONG)
  store_texts()
  if outcome == 'park' and result ~= '' then -- for people
    call('HSET', jk, 'waits', result)
  end
  if route ~= '' then
    j.route = route
    call('HSET', jk, 'route', route)
  end
  if outcome == 'return' then
    make_ready(id, j)
    call('PUBLISH', K('ctl'), 'work')
  elseif outcome == 'park' and full ~= '' and full:sub(1, 6) ~= 'batch:' and at_ms > now then
    wait_for_room()
  elseif not_before then
    wait_for_directus()
  else
    delay(id, j, outcome == 'park' and 'parked' or 'delayed', at_ms)
  end
  event(outcome, id, code)
  count(outcome)
  return 1
end

return put_back()
