-- permit: may this call to a provider be made? All rules admit it, or nothing is written.
-- ARGV: permit, job, fence, step, n, question (the first call of those that ask the same), route,
--       ms after which the call is certainly over, lease ms, cost in nano-dollars: expected, is it a retry 0|1,
--       cost at most, digest of the question for the cache or '', how old an answer from there may be in ms
--       (0: not from there), whose calibration is wanted or '',
--       then for each rule: scope, kind, limit, amount, mode or period, end of the period ms, on budget
--         kind rpm rpd tpm itpm otpm  a window; mode arrival: the amount stays as it is;
--                                     usage: it is held until settle says what was used
--         kind concurrency            a slot
--         kind budget, soft           money; on budget: park or fail
-- Reply: {1, calibration or ''} go; {4, answer, nano-dollars saved} it is in the cache; {0, at ms, scope, kind, used, limit} come back then; {2, the same} never in this
--        period; {3} the question has been answered since: run the job again; {-1} the lease is lost.
-- Sent twice: {1}, and nothing is reserved a second time. The intent is written in the same move.
-- With: windows
local permit, id, fence, step, n, question, route = unpack(ARGV, 1, 7)
local lasts_ms, lease_ms, cost, is_retry = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[11] == '1'
local most, cache, max_age_ms, learner, RULES = ARGV[12], ARGV[13], tonumber(ARGV[14]), ARGV[15], 16
local name, jk, sk, rl = step .. '#' .. n, K('j:' .. id), K('s:' .. id), K('rl:' .. route)
local provider = route:match('^[^/]+')
local RETRIES_FREE, RETRIES_SHARE = 20, 0.1
local refusal
local admitted = {windows = {}, slots = {}, budgets = {}}

-- Of several refusals the one that lasts longest counts.
local function refuse(at_ms, scope, kind, used, limit, for_good)
  local reply = {for_good and 2 or 0, math.ceil(at_ms), scope, kind, string.format('%.0f', used), string.format('%.0f', limit)}
  if not refusal or (for_good and refusal[1] == 0) or (refusal[1] == reply[1] and reply[2] > refusal[2]) then
    refusal = reply
  end
end

local weather = fields(rl, 'until', 'f', 'open', 'dry', 'probe', 'probe_end', 'minute', 'calls', 'retries')

-- Whoever is not in a group of that route is woken by name when somebody has paid.
local function wait_for_credit()
  if weather.dry then
    call('SADD', K('qw:' .. route), id)
    call('PEXPIRE', K('qw:' .. route), 2 * DAY)
  end
end

local function check_weather()
  local until_ms = math.max(number(weather['until']), number(call('HGET', K('rl:' .. provider), 'until')))
  if until_ms > now then
    refuse(until_ms, route, weather.dry and 'credit' or weather.open and 'circuit' or 'cooldown', 0, 0)
    wait_for_credit()
  elseif weather.open and weather.probe and number(weather.probe_end) > now then
    refuse(now + 500, route, weather.dry and 'credit' or 'circuit', 1, 1)
    wait_for_credit()
  end
  if weather.minute ~= tostring(math.floor(now / 60000)) then
    weather.calls, weather.retries = 0, 0
  end
  local may = RETRIES_FREE + number(weather.calls) * RETRIES_SHARE
  if is_retry and number(weather.retries) >= may then
    refuse(now + 2000, route, 'retries', number(weather.retries), may)
  end
end

-- A call above the whole limit is let through alone: else it would never go.
local function check_window(r)
  local limit = r.limit
  if r.scope == provider or r.scope == route then
    limit = math.max(1, math.floor(limit * tonumber(weather.f or '1')))
  end
  local used = window_used(r.scope, r.kind)
  if used > 0 and used + r.amount > limit then
    refuse(window_room_at(r.scope, r.kind, used + r.amount - limit), r.scope, r.kind, used, limit)
  else
    local at_ms = r.period == 'usage' and now + lasts_ms or now
    admitted.windows[#admitted.windows + 1] = {r.scope, r.kind, r.period, bucket_at(r.kind, at_ms), r.amount}
  end
end

local function check_slots(r)
  local key = K('cs:' .. r.scope)
  call('ZREMRANGEBYSCORE', key, '-inf', now)
  local used = call('ZCARD', key)
  if used >= r.limit then
    refuse(now + 1000, 'slot:' .. r.scope, r.kind, used, r.limit)
  else
    admitted.slots[#admitted.slots + 1] = r.scope
  end
end

local function check_budget(r)
  local b = fields(K('bud:' .. r.scope .. ':' .. r.period), 's', 'r', 'u')
  local spent = number(b.s) + number(b.u)
  local used = spent + number(b.r)
  if r.kind == 'soft' then
    r.over = used + r.amount > r.limit
    admitted.budgets[#admitted.budgets + 1] = r
  elseif spent + r.amount > r.limit or spent >= r.limit then
    refuse(r.ends_ms > 0 and r.ends_ms or now + 3600000, r.scope, 'budget', spent, r.limit, r.on_budget == 'fail')
  elseif used + r.amount > r.limit or used >= r.limit then -- calls under way may give some of it back
    refuse(now + 500, r.scope, 'budget', used, r.limit)
  else
    admitted.budgets[#admitted.budgets + 1] = r
  end
end

local function check_rule(i)
  local r = {scope = ARGV[i], kind = ARGV[i + 1], limit = tonumber(ARGV[i + 2]), amount = tonumber(ARGV[i + 3]),
    period = ARGV[i + 4], ends_ms = tonumber(ARGV[i + 5]), on_budget = ARGV[i + 6]}
  call('ZADD', K('scp'), now, r.scope)
  if WINDOWS[r.kind] then
    check_window(r)
  elseif r.kind == 'concurrency' then
    check_slots(r)
  else
    check_budget(r)
  end
end

-- The budget of the batch that the job belongs to. When it is spent the batch stops until somebody raises it;
-- when only the calls under way might spend it, this one waits for them.
local function check_batch(batch)
  local limit = batch and tonumber(call('HGET', K('bat:' .. batch), 'budget') or nil)
  if not limit then
    return
  end
  local b = fields(K('bud:batch:' .. batch .. ':total'), 's', 'r', 'u')
  local spent, held, amount = number(b.s) + number(b.u), number(b.r), tonumber(ARGV[10])
  if spent + amount > limit or spent >= limit then
    if call('HGET', K('bat:' .. batch), 'state') == 'running' then
      call('HSET', K('bat:' .. batch), 'state', 'budget')
      event('budget', id, 'batch:' .. batch)
    end
    refuse(now + 2000, 'batch:' .. batch, 'budget', spent, limit)
  elseif spent + held + amount > limit then
    refuse(now + 500, 'batch:' .. batch, 'budget', spent + held, limit)
  else
    admitted.budgets[#admitted.budgets + 1] = {scope = 'batch:' .. batch, period = 'total', amount = amount, ends_ms = 0}
  end
end

-- An answer to the very same question costs nothing, and is worth waiting for while somebody asks it.
local function look_into_cache()
  if cache == '' or max_age_ms == 0 then
    return nil
  end
  local at, nano, text = (call('GET', K('ca:' .. cache)) or ''):match('^(%d+) (%d+) (.*)$')
  if at and now - at <= max_age_ms then
    count('cache_hits')
    count('cache_saved_nano', nano)
    local day = K('use:' .. math.floor(now / DAY))
    call('HINCRBY', day, route .. '|hits', 1)
    call('HINCRBY', day, route .. '|saved', nano)
    call('PEXPIRE', day, 100 * DAY)
    return {4, text, tonumber(nano)}
  end
  local who = call('GET', K('cq:' .. cache))
  local asked = who and who ~= permit and fields(K('p:' .. who), 'job', 'reaped') or {}
  if asked.job and asked.job ~= id and not asked.reaped then
    call('SADD', K('cw:' .. cache), id)
    call('PEXPIRE', K('cw:' .. cache), 60000)
    return {0, now + 2000, 'cache:' .. cache, 'cache', '1', '1'}
  end
end

local function note_in_cache()
  if cache ~= '' then
    call('SET', K('cq:' .. cache), permit, 'PX', lasts_ms)
    call('HINCRBY', K('use:' .. math.floor(now / DAY)), route .. '|misses', 1)
    count('cache_misses')
  end
end

local function reserve_money(kept)
  local booked = {}
  for _, r in ipairs(admitted.budgets) do
    local name_of = r.scope .. ':' .. r.period
    local key = K('bud:' .. name_of)
    if not booked[name_of] then
      booked[name_of] = true
      kept[#kept + 1] = name_of
      call('HINCRBY', key, 'r', r.amount)
      if r.ends_ms > 0 then
        call('PEXPIREAT', key, r.ends_ms + 7 * DAY)
      end
    end
    if r.over and call('HSETNX', key, 'warned', now) == 1 then
      event('budget', id, r.scope .. ' ' .. r.period)
    end
  end
end

local function reserve()
  local windows, budgets = {}, {}
  for _, w in ipairs(admitted.windows) do
    window_add(w[1], w[2], w[4], w[5])
    windows[#windows + 1] = string.format('%s %s %.0f %.0f %s', w[2], w[3], w[4], w[5], w[1])
  end
  for _, scope in ipairs(admitted.slots) do
    call('ZADD', K('cs:' .. scope), now + lease_ms, permit)
    call('PEXPIRE', K('cs:' .. scope), DAY)
  end
  reserve_money(budgets)
  call('HSET', K('p:' .. permit), 'job', id, 'name', name, 'cost', ARGV[10], 'most', most, 'slots', table.concat(admitted.slots, '\n'),
    'windows', table.concat(windows, '\n'), 'budgets', table.concat(budgets, '\n'))
  call('ZADD', K('px'), now + lease_ms, permit)
end

-- A retry after a call whose answer never came is the one that may be paid twice: it is counted.
local function write_intent()
  local ends = string.format('%.0f', now + lasts_ms)
  call('HSET', sk, 'call:' .. name, 'sent ' .. question .. ' ' .. ends .. ' ' .. permit)
  call('HSET', jk, 'permit', permit, 'call_end', ends)
  call('ZADD', K('lse'), now + lease_ms, id) -- the call begins with a whole lease before it
  count('calls')
  if question ~= n and call('HEXISTS', sk, 'call:' .. step .. '#' .. string.format('%d', n - 1)) == 1 then
    count('repeated') -- else it was known meanwhile that the one before was not carried out
  end
  call('HSET', rl, 'minute', string.format('%d', math.floor(now / 60000)), 'calls', number(weather.calls) + 1,
    'retries', number(weather.retries) + (is_retry and 1 or 0))
  call('PEXPIRE', rl, DAY)
  if weather.open then
    call('HSET', rl, 'probe', permit, 'probe_end', ends)
  end
end

if call('EXISTS', K('p:' .. permit)) == 1 then
  return {1, ''}
end
local j = fields(jk, 'fence', 'state', 'batch')
if j.fence ~= fence or j.state ~= 'active' then
  return {-1}
end
if call('HEXISTS', sk, 'won:' .. step .. '#' .. question) == 1 then
  return {3}
end
local known = look_into_cache()
if known then
  return known
end
check_weather()
for i = RULES, #ARGV, 7 do
  check_rule(i)
end
check_batch(j.batch)
if refusal then
  count('refused')
  return refusal
end
reserve()
write_intent()
note_in_cache()
return {1, learner ~= '' and call('HGET', K('cal:' .. learner), 'line') or ''}
