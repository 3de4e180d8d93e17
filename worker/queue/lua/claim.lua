-- claim: gives jobs to a worker, each with a lease.
-- ARGV: worker, number of the claim, want, lease ms
-- Reply: {in how many ms something may be there that is not there now (-1: nothing is known), jobs};
--        each job: {id, fence, losses, body, tenant, lane, route, batch, reply,
--        filed, stored as name, text, ...}
-- Sent twice: the same number of the same worker gets the same jobs, as far as it still has them.
-- With: groups ends
local worker, number_of_claim, want, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local GROUPS_AT_ONCE, DUE_AT_ONCE, RAMP_END, RAMP_REST_MS, HELD_MS = 50, 200, 64, 10, 5000
local jobs, given = {}, {}
local clock_v -- of the last group that was served

local function job_reply(id, fence)
  local j = fields(K('j:' .. id), 'losses', 'tenant', 'lane', 'route', 'batch', 'reply', 'filed')
  return {id, fence, number(j.losses), call('GET', K('b:' .. id)) or '', j.tenant, j.lane, j.route,
    j.batch or '', j.reply or '', j.filed, call('HGETALL', K('s:' .. id))}
end

-- The reply to the last claim was lost: the same jobs again.
local function repeat_claim(text)
  for id, fence in text:gmatch('\n([^\n]+) (%d+)') do
    local j = fields(K('j:' .. id), 'fence', 'state')
    if j.fence == fence and j.state == 'active' then
      jobs[#jobs + 1] = job_reply(id, tonumber(fence))
    end
  end
end

local function promote_due()
  for _, id in ipairs(call('ZRANGEBYSCORE', K('dly'), '-inf', now, 'LIMIT', 0, DUE_AT_ONCE)) do
    call('ZREM', K('dly'), id)
    local j = fields(K('j:' .. id), 'state', 'lane', 'route', 'tenant', 'seq', 'batch')
    if j.state then
      make_ready(id, j)
    end
  end
end

local function wake_groups()
  for _, group in ipairs(call('ZRANGEBYSCORE', K('thr'), '-inf', now, 'LIMIT', 0, GROUPS_AT_ONCE)) do
    call('ZREM', K('thr'), group)
    if call('EXISTS', K('q:' .. group)) == 1 then
      offer_group(group)
    else
      call('HDEL', K('rmp'), group)
    end
  end
end

-- Until when a group may not give anything although jobs wait in it; 0: it may; and how many at once.
local function look_at_group(route, tenant, group)
  local provider = route:match('^[^/]+')
  for _, mark in ipairs(call('HMGET', K('cfg'), 'paused:route:' .. route, 'paused:route:' .. provider,
    'paused:tenant:' .. tenant)) do
    if mark == '1' then
      return now + 1000, 0
    end
  end
  local until_ms = math.max(number(call('HGET', K('rl:' .. route), 'until')),
    number(call('HGET', K('rl:' .. provider), 'until')))
  local ramp = call('HGET', K('rmp'), group)
  return until_ms > now and until_ms or 0, ramp and tonumber(ramp) or math.huge
end

-- A group that gave all it may while it is being tried out rests a moment, and may give more then.
local function rest_group(group, v)
  local ramp = number(call('HGET', K('rmp'), group)) * 2
  call('ZREM', K('rdy'), group)
  call('ZADD', K('fin'), v, group)
  call('ZADD', K('thr'), now + RAMP_REST_MS, group)
  if ramp >= RAMP_END then
    call('HDEL', K('rmp'), group)
  else
    call('HSET', K('rmp'), group, ramp)
  end
end

-- A batch that is paused, out of money or cancelled starts no more of its jobs.
local function held_back(id, jk, batch)
  local state = call('HGET', K('bat:' .. batch), 'state')
  if state == 'cancelled' then
    finish_job(id, fields(jk, unpack(ENDED_FIELDS)), 'cancelled',
      plain_result(id, 'cancelled', 'CANCELLED', 'its batch was cancelled'), '', 'CANCELLED', DAY)
    return true
  elseif state == 'paused' or state == 'budget' then
    delay(id, fields(jk, 'state', 'batch'), 'parked', now + HELD_MS)
    return true
  end
  return false
end

local function take(group, lane, v)
  local id = call('ZPOPMIN', K('q:' .. group))[1]
  local after = v + JOB_TOKENS / (WEIGHT[lane] or 10)
  clock_v = v
  if call('EXISTS', K('q:' .. group)) == 1 then
    call('ZADD', K('rdy'), after, group)
  else
    call('ZREM', K('rdy'), group)
    call('ZADD', K('fin'), after, group)
    call('HDEL', K('rmp'), group)
  end
  local jk = id and K('j:' .. id)
  local j = id and fields(jk, 'state', 'batch', 'fence') or {}
  if not j.state then
    return
  end
  if j.batch and held_back(id, jk, j.batch) then
    return
  end
  -- by the clock: a failover may take a claim back, and the next one must not get the same number
  local fence = math.max(number(j.fence) + 1, now)
  call('HSET', jk, 'fence', string.format('%.0f', fence), 'owner', worker, 'claimed', now, 'state', 'active')
  count_batch(j.batch, j.state, 'active')
  call('ZADD', K('lse'), now + lease_ms, id)
  given[#given + 1] = id .. ' ' .. string.format('%.0f', fence)
  jobs[#jobs + 1] = job_reply(id, fence)
end

local function take_from_groups()
  local taken, groups, looked = {}, {}, 0
  while #jobs < want and looked < want + GROUPS_AT_ONCE do
    looked = looked + 1
    local top = call('ZRANGE', K('rdy'), 0, 0, 'WITHSCORES')
    if not top[1] then
      return
    end
    local group, v = top[1], tonumber(top[2])
    local g = groups[group]
    if not g then
      local route, lane, tenant = group:match('^([^|]*)|([^|]*)|(.*)$')
      g = {lane = lane}
      g.until_ms, g.ramp = look_at_group(route, tenant, group)
      groups[group] = g
    end
    if g.until_ms > 0 then
      block_group(group, g.until_ms)
    elseif (taken[group] or 0) >= g.ramp then
      rest_group(group, v)
    else
      taken[group] = (taken[group] or 0) + 1
      take(group, g.lane, v)
    end
  end
end

local function next_moment()
  local soonest = 0
  for _, name in ipairs({'dly', 'thr'}) do
    local due = call('ZRANGE', K(name), 0, 0, 'WITHSCORES')[2]
    if due and (soonest == 0 or tonumber(due) < soonest) then
      soonest = tonumber(due)
    end
  end
  return soonest == 0 and -1 or math.max(0, soonest - now)
end

local last = call('GET', K('cl:' .. worker))
if last and last:match('^[^\n]*') == number_of_claim then
  repeat_claim(last)
  return {0, jobs} -- there may be more for the next claim
end
promote_due()
wake_groups()
if want > 0 and call('HGET', K('cfg'), 'paused') ~= '1' then
  take_from_groups()
end
if clock_v then
  call('SET', K('vt'), string.format('%.17g', clock_v))
  call('ZREMRANGEBYSCORE', K('fin'), '-inf', '(' .. string.format('%.17g', clock_v))
end
if #given > 0 then
  call('SET', K('cl:' .. worker), number_of_claim .. '\n' .. table.concat(given, '\n'), 'PX', lease_ms)
end
return {next_moment(), jobs}
