-- claim: gives jobs to a worker, each with a lease.
-- ARGV: worker, number of the claim, want, lease ms
-- Reply: {in how many ms something may be there that is not there now (-1: nothing is known), jobs};
--        each job: {id, fence, losses, body, tenant, lane, route, batch, reply,
--        filed, stored as name, text, ..., 1 if it is the one that is let try whether Directus is back}
-- Sent twice: the same number of the same worker gets the same jobs, as far as it still has them.
-- With: groups ends
local worker, number_of_claim, want, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local GROUPS_AT_ONCE, DUE_AT_ONCE, RAMP_END, RAMP_REST_MS, HELD_MS = 50, 200, 64, 10, 5000
local TRIAL_MS = 15000 -- so long the others wait for what becomes of a trial
local lease_end = whole(now + lease_ms)
local jobs, given, leases = {}, {}, {}
local clock_v -- of the last group that was served

-- j: what is known of the job, with the fence that it had before.
local function job_reply(id, fence, j)
  local stored = j.fence ~= '0' and call('HGETALL', K('s:' .. id)) or {} -- who has not run yet has stored nothing
  return {id, fence, number(j.losses), call('GET', K('b:' .. id)) or '', j.tenant, j.lane, j.route,
    j.batch or '', j.reply or '', j.filed, stored, j.is_trial and 1 or 0}
end

-- The reply to the last claim was lost: the same jobs again.
local function repeat_claim(text)
  for id, fence in text:gmatch('\n([^\n]+) (%d+)') do
    local j = fields(K('j:' .. id), 'state', 'batch', 'fence', 'losses', 'tenant', 'lane', 'route', 'reply', 'filed')
    if j.fence == fence and j.state == 'active' then
      jobs[#jobs + 1] = job_reply(id, tonumber(fence), j)
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
  local provider, until_ms = route:match('^[^/]+'), 0
  if call('EXISTS', K('cfg'), K('rl:' .. route), K('rl:' .. provider)) > 0 then
    for _, mark in ipairs(call('HMGET', K('cfg'), 'paused:route:' .. route, 'paused:route:' .. provider,
      'paused:tenant:' .. tenant)) do
      if mark == '1' then
        return now + 1000, 0
      end
    end
    until_ms = math.max(number(call('HGET', K('rl:' .. route), 'until')), number(call('HGET', K('rl:' .. provider), 'until')))
  end
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
    finish_job(id, job_to_end(id), 'cancelled',
      plain_result(id, 'cancelled', 'CANCELLED', 'its batch was cancelled'), '', 'CANCELLED', DAY)
    return true
  elseif state == 'paused' or state == 'budget' then
    delay(id, fields(jk, 'state', 'batch'), 'parked', now + HELD_MS)
    return true
  end
  return false
end

-- The groups that may give something, from the least virtual time on; read as far as is needed, and written back at
-- the end. moved: it has given something here.
local heads, head_of, read, removed, is_all = {}, {}, 0, 0, false

local function read_heads()
  local first, some = read - removed, math.min(want, GROUPS_AT_ONCE)
  local more = call('ZRANGE', K('rdy'), first, first + some - 1, 'WITHSCORES')
  is_all = #more < 2 * some
  for i = 1, #more, 2 do
    read = read + 1
    if not head_of[more[i]] then
      heads[#heads + 1] = {group = more[i], v = tonumber(more[i + 1]), taken = 0}
      head_of[more[i]] = heads[#heads]
    end
  end
end

-- -> the head whose turn it is, and its place
local function least_head()
  local least, place, is_sure
  repeat
    least, is_sure = nil, is_all
    for i, g in ipairs(heads) do
      if not least or g.v < least.v or g.v == least.v and g.group < least.group then
        least, place = g, i
      end
      is_sure = is_sure or not g.moved -- all that were not read yet come after this one
    end
    if not is_sure then
      read_heads()
    end
  until is_sure
  return least, place
end

local function drop_head(g, place)
  table.remove(heads, place)
  head_of[g.group] = nil
  removed = removed + 1
end

-- A job that waited for Directus takes up its own route again. While Directus is away it is the only one: finish.lua.
local function leave_directus(id, j)
  j.route = call('HGET', K('j:' .. id), 'home') or '-'
  call('HSET', K('j:' .. id), 'route', j.route)
  if call('HEXISTS', K('rl:directus'), 'open') == 1 then
    call('HSET', K('rl:directus'), 'probe', id, 'until', string.format('%.0f', now + TRIAL_MS))
    j.is_trial = true
  end
end

local function take(g, place)
  local group, lane = g.group, g.lane
  local id = call('ZPOPMIN', K('q:' .. group))[1]
  local after = g.v + JOB_TOKENS / weight_of(lane)
  clock_v = g.v
  if call('EXISTS', K('q:' .. group)) == 1 then
    g.v, g.moved = after, true
  else
    drop_head(g, place)
    call('ZREM', K('rdy'), group)
    call('ZADD', K('fin'), after, group)
    call('HDEL', K('rmp'), group)
  end
  local jk = K('j:' .. (id or ''))
  local got = call('HMGET', jk, 'state', 'fence', 'batch', 'reply', 'filed')
  local j = {state = got[1], fence = got[2], batch = got[3], reply = got[4], filed = got[5]}
  if not j.state or j.batch and held_back(id, jk, j.batch) then
    return
  end
  j.route, j.lane, j.tenant = g.route, lane, g.tenant
  j.losses = j.fence ~= '0' and call('HGET', jk, 'losses') or nil
  -- by the clock: a failover may take a claim back, and the next one must not get the same number
  local fence = math.max(number(j.fence) + 1, now)
  local fence_text = fence == now and now_text or whole(fence)
  call('HSET', jk, 'fence', fence_text, 'owner', worker, 'claimed', now_text, 'state', 'active')
  count_batch(j.batch, j.state, 'active')
  if j.route == 'directus' then
    leave_directus(id, j)
  end
  leases[#leases + 1] = lease_end
  leases[#leases + 1] = id .. LONG
  given[#given + 1] = id .. ' ' .. fence_text
  jobs[#jobs + 1] = job_reply(id, fence, j)
end

local function take_from_groups()
  local looked = 0
  while #jobs < want and looked < want + GROUPS_AT_ONCE do
    looked = looked + 1
    local g, place = least_head()
    if not g then
      break
    end
    if not g.lane then
      local route, lane, tenant = g.group:match('^([^|]*)|([^|]*)|(.*)$')
      g.route, g.lane, g.tenant = route, lane, tenant
      g.until_ms, g.ramp = look_at_group(route, tenant, g.group)
    end
    if g.until_ms > 0 then
      drop_head(g, place)
      block_group(g.group, g.until_ms)
    elseif g.taken >= g.ramp then
      drop_head(g, place)
      rest_group(g.group, g.v)
    else
      g.taken = g.taken + 1
      take(g, place)
    end
  end
  local moved = {}
  for _, g in ipairs(heads) do
    if g.moved then
      moved[#moved + 1] = g.v
      moved[#moved + 1] = g.group
    end
  end
  if moved[1] then
    call('ZADD', K('rdy'), unpack(moved))
  end
  if leases[1] then
    call('ZADD', K('lse'), unpack(leases))
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
