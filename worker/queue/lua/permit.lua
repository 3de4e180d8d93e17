-- permit: may this call to a provider be made? All rules admit it, or nothing is written.
-- ARGV: permit, job, fence, step, n, question (the first call of those that ask the same), route,
--       ms after which the call is certainly over, lease ms, cost in nano-dollars: expected, is it a retry 0|1,
--       cost at most, digest of the question for the cache or '', how old an answer from there may be in ms
--       (0: not from there), whose calibration is wanted or '',
--       then for each rule: scope, kind, limit, and more:
--         kind rpm rpd tpm itpm otpm  a window: amount, mode: arrival: the amount stays as it is;
--                                     usage: it is held until settle says what was used
--         kind concurrency            a slot: no more
--         kind budget, soft           money: amount, period, end of the period ms, on budget: park or fail
-- Reply: {1, rows of past calls or ''} go; {4, answer, nano-dollars saved} it is in the cache; {0, at ms, scope, kind, used, limit} come back then; {2, the same} never in this
--        period; with the kind 'paused' scope is what is paused; {3} the question has been answered since: run the job again; {-1} the lease is lost.
-- Sent twice: {1}, and nothing is reserved a second time. The intent is written in the same move.
-- Told of several at once: each.lua.
-- With: windows reserve calls
local permit, id, fence, step, n, question, route = unpack(ARGV, 1, 7)
local lasts_ms, lease_ms, cost, is_retry = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[11] == '1'
local cache, learner, RULES = ARGV[13], ARGV[15], 16
local name, jk, sk, rl = step .. '#' .. n, K('j:' .. id), K('s:' .. id), K('rl:' .. route)
local provider = route:match('^[^/]+')
local RETRIES_FREE, RETRIES_SHARE = 20, 0.1
local refusal

-- As a rule there is none of these: it is asked the first time, nothing is paused, and the route is well.
local has_news = call('EXISTS', K('p:' .. permit), K('cfg'), rl, K('rl:' .. provider)) > 0
if has_news and call('EXISTS', K('p:' .. permit)) == 1 then
  return {1, ''}
end
local job = call('HMGET', jk, 'fence', 'state', 'batch')
if job[1] ~= fence or job[2] ~= 'active' then
  return {-1}
end
if call('HEXISTS', sk, 'won:' .. step .. '#' .. question) == 1 then
  return {3}
end

-- An answer to the very same question costs nothing, and is worth waiting for while somebody asks it.
if cache ~= '' and ARGV[14] ~= '0' then
  local at, nano, text = (call('GET', K('ca:' .. cache)) or ''):match('^(%d+) (%d+) (.*)$')
  if at and now - at <= tonumber(ARGV[14]) then
    note_cached(id, cache, tonumber(ARGV[14]))
    count('cache_hits')
    count('cache_saved_nano', nano)
    use_add('', route, 0, 0, 0, 0, 0, 1, 0, tonumber(nano))
    return {4, text, tonumber(nano)}
  end
  local who = call('GET', K('cq:' .. cache))
  local asked = who and who ~= permit and permit_read(who)
  if asked and asked.job ~= id and not asked.reaped then
    call('SADD', K('cw:' .. cache), id)
    call('PEXPIRE', K('cw:' .. cache), 60000)
    return {0, now + 2000, 'cache:' .. cache, 'cache', '1', '1'}
  end
end

-- Of several refusals the one that lasts longest counts.
local function refuse(at_ms, scope, kind, used, limit, for_good)
  local reply = {for_good and 2 or 0, math.ceil(at_ms), scope, kind, string.format('%.0f', used), string.format('%.0f', limit)}
  if not refusal or (for_good and refusal[1] == 0) or (refusal[1] == reply[1] and reply[2] > refusal[2]) then
    refusal = reply
  end
end

-- ---- has somebody paused it? ----

if has_news and call('EXISTS', K('cfg')) == 1 then
  -- What runs is finished up to its next call. A job whose own group is held back waits there; one that came by another
  -- route waits for itself, until resume.lua calls it by name.
  local function wait_paused(mark, is_of_group)
    if not is_of_group then
      call('SADD', K('qw:' .. mark), id)
      call('PEXPIRE', K('qw:' .. mark), 2 * DAY)
    end
    count('refused')
    return {0, now + (is_of_group and 1000 or 300000), mark, 'paused', '0', '0'}
  end

  local own = call('HMGET', jk, 'route', 'tenant')
  local marks = {'paused', 'paused:tenant:' .. own[2], 'paused:route:' .. route, 'paused:route:' .. provider}
  for i, is_set in ipairs(call('HMGET', K('cfg'), unpack(marks))) do
    if is_set == '1' then
      return wait_paused(marks[i], i <= 2 or i == 3 and own[1] == route or i == 4 and own[1]:match('^[^/]+') == provider)
    end
  end
end

-- ---- is the route open? ----

local factor, is_open = nil, false -- of a route that is well
if has_news and call('EXISTS', rl, K('rl:' .. provider)) > 0 then
  local r = fields(rl, 'until', 'f', 'open', 'probe', 'probe_end', 'dry')
  local until_ms = math.max(number(r['until']), number(call('HGET', K('rl:' .. provider), 'until')))
  factor, is_open = tonumber(r.f), r.open
  if until_ms > now then
    refuse(until_ms, route, r.dry and 'credit' or is_open and 'circuit' or 'cooldown', 0, 0)
  elseif is_open and r.probe and number(r.probe_end) > now then
    refuse(now + 500, route, r.dry and 'credit' or 'circuit', 1, 1)
  end
  if refusal and r.dry then -- whoever is not in a group of that route is woken by name when somebody has paid
    call('SADD', K('qw:' .. route), id)
    call('PEXPIRE', K('qw:' .. route), 2 * DAY)
  end
end
local traffic = is_retry and traffic_read(route)
if is_retry then
  local retries_most = RETRIES_FREE + traffic.calls * RETRIES_SHARE
  if traffic.retries >= retries_most then
    refuse(math.min(now + 2000, (traffic.minute + 1) * 60000), route, 'retries', traffic.retries, retries_most)
  end
end

-- ---- is there room? ----

local windows, slots, budgets = {}, {}, {}
local scopes = {'ZADD', K('scp')}

-- Scopes are noted for people when something begins (and by settle, once a minute and route): not with each call.
local function note_scope(scope, is_idle)
  if is_idle and scopes[#scopes] ~= scope then
    scopes[#scopes + 1] = now_text
    scopes[#scopes + 1] = scope
  end
end

local i = RULES
while i <= #ARGV do
  local scope, kind, limit, mode = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 4]
  if kind == 'concurrency' then
    local key = K('cs:' .. scope)
    local used = call('ZCARD', key)
    if used >= limit then
      call('ZREMRANGEBYSCORE', key, '-inf', now)
      used = call('ZCARD', key)
    end
    if used >= limit then
      refuse(now + 1000, 'slot:' .. scope, kind, used, limit)
    end
    note_scope(scope, used == 0)
    slots[#slots + 1] = scope
    i = i + 3

  elseif kind == 'budget' or kind == 'soft' then
    local key = K('bud:' .. scope .. ':' .. mode)
    local b = call('HMGET', key, 's', 'r', 'u')
    local amount, ends_ms, is_soft = tonumber(ARGV[i + 3]), tonumber(ARGV[i + 5]), kind == 'soft'
    local spent = number(b[1]) + number(b[3])
    local used = spent + number(b[2])
    local is_over = used + amount > limit
    if not is_soft and (spent + amount > limit or spent >= limit) then
      refuse(ends_ms > 0 and ends_ms or now + 3600000, scope, 'budget', spent, limit, ARGV[i + 6] == 'fail')
    elseif not is_soft and (is_over or used >= limit) then -- calls under way may give some of it back
      refuse(now + 500, scope, 'budget', used, limit)
    end
    note_scope(scope, not b[2] or b[2] == '0')
    budgets[#budgets + 1] = {key = key, scope = scope, period = mode, ends_ms = not b[2] and ends_ms or 0,
      warns = is_over and is_soft}
    i = i + 7

  else -- a window. A call above the whole limit is let through alone: else it would never go.
    local w, amount, most = reserve_open(scope, kind), tonumber(ARGV[i + 3]), limit
    if factor and (scope == provider or scope == route) then
      most = math.max(1, math.floor(limit * factor))
    end
    local used = w.used + w.held
    if used > 0 and used + amount > most then
      refuse(reserve_room_at(w, used + amount - most), scope, kind, used, most)
    end
    note_scope(scope, w.is_new)
    windows[#windows + 1] = {w, amount, scope, kind, limit, mode == 'usage'}
    i = i + 5
  end
end

-- The budget of the batch that the job belongs to. When it is spent the batch stops until somebody raises it;
-- when only the calls under way might spend it, this one waits for them.
if job[3] then
  local batch = 'batch:' .. job[3]
  local limit = tonumber(call('HGET', K('bat:' .. job[3]), 'budget') or nil)
  local key = K('bud:' .. batch .. ':total')
  local b = limit and call('HMGET', key, 's', 'r', 'u') or {}
  local spent, held = number(b[1]) + number(b[3]), number(b[2])
  if not limit then
    limit = 0
  elseif spent + cost > limit or spent >= limit then
    if call('HGET', K('bat:' .. job[3]), 'state') == 'running' then
      call('HSET', K('bat:' .. job[3]), 'state', 'budget')
      event('budget', id, batch)
    end
    refuse(now + 2000, batch, 'budget', spent, limit)
  elseif spent + held + cost > limit then
    refuse(now + 500, batch, 'budget', spent + held, limit)
  else
    budgets[#budgets + 1] = {key = key, scope = batch, period = 'total', ends_ms = 0}
  end
end
if refusal then
  count('refused')
  return refusal
end

-- ---- it may: all is written ----

local ends, lease_end = whole(now + lasts_ms), whole(now + lease_ms)
local taken = {id, name, ARGV[10], ARGV[12], now + lasts_ms, 0} -- as in calls.lua

local function take(kind, scope, bucket, amount, limit)
  local i = #taken
  taken[i + 1], taken[i + 2], taken[i + 3], taken[i + 4], taken[i + 5] = kind, scope, bucket, amount, limit
end

for _, wanted in ipairs(windows) do
  local w, amount, scope, kind, limit, is_held = unpack(wanted)
  reserve(w, amount, is_held and math.floor((now + lasts_ms) / w.size) or nil)
  take(kind, scope, is_held and 0 or w.bucket, amount, limit)
end
for _, scope in ipairs(slots) do
  call('ZADD', K('cs:' .. scope), lease_end, permit .. LONG)
  take('slot', scope, 0, 0, 0)
end
local booked = {}
for _, b in ipairs(budgets) do
  if not booked[b.key] then
    booked[b.key] = true
    call('HINCRBY', b.key, 'r', ARGV[10])
    take('budget', b.scope .. ':' .. b.period, 0, 0, 0)
    if b.ends_ms > 0 then
      call('PEXPIREAT', b.key, b.ends_ms + 7 * DAY)
    end
  end
  if b.warns and call('HSETNX', b.key, 'warned', now) == 1 then
    event('budget', id, b.scope .. ' ' .. b.period)
  end
end
call('SET', K('p:' .. permit), cmsgpack.pack(unpack(taken)))
call('ZADD', K('px'), lease_end, permit .. LONG)
if scopes[3] then
  call(unpack(scopes))
end

-- The intent, in the same move. A retry after a call whose answer never came is the one that may be paid
-- twice: it is counted.
call('HSET', sk, 'call:' .. name, 'sent ' .. question .. ' ' .. ends .. ' ' .. permit)
call('HSET', jk, 'permit', permit, 'call_end', ends)
call('ZADD', K('lse'), lease_end, id .. LONG) -- the call begins with a whole lease before it
count('calls')
if question ~= n and is_asked_by_another(sk, step, question, n, tonumber(n) - 1) then
  count('repeated') -- else it was known meanwhile that those before were not carried out
end
if is_open then
  call('HSET', rl, 'probe', permit, 'probe_end', ends)
end
if is_retry then
  traffic.retries = traffic.retries + 1
  traffic_write(route, traffic)
end
if cache ~= '' then
  call('SET', K('cq:' .. cache), permit, 'PX', lasts_ms)
  use_add('', route, 0, 0, 0, 0, 0, 0, 1)
  count('cache_misses')
end
return {1, learner ~= '' and call('LRANGE', K('past:' .. learner), 0, 127) or ''}
