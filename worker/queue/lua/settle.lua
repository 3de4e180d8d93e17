-- settle: a call is over. What was really used is booked, the rest given back, an answer stored.
-- ARGV: permit, job, fence, step, n, question, route, flow, outcome (answer failed unknown cancelled), answer,
--       input, cached and output tokens, cost in nano-dollars, rate limited 0|1, retry after ms,
--       out of order 0|1 (5xx, overload, network: counts for the circuit breaker),
--       requests left, tokens left by the provider's own count (-1: not told),
--       digest of the question for the cache or '', ms for which it keeps the answer (0: not at all),
--       whose calibration learns from it or '', and what: a row, as operations/calibration.h has it;
--       how many ms after asking for the permit the call was sent;
--       what the provider calls it that there is no credit left, or ''
-- Reply: {is the job still ours 0|1, n of the answer that counts or 0, that answer if it is another one,
--        now and then all that is learned of such calls, else ''[, 1: from now on nothing goes to the route, because no credit is left]}
-- Sent twice: the record is gone, nothing is booked again; the first answer to a question stays. An
-- answer is taken from anybody: it was paid for.
-- With: windows groups calls
local permit, id, fence, step, n, question, route, flow, outcome, text = unpack(ARGV, 1, 10)
local input, cached, output, cost = tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14])
local rate_limited, out_of_order = ARGV[15] == '1', ARGV[17] == '1'
local cache, learner, late_ms, no_credit = ARGV[20] or '', ARGV[22] or '', tonumber(ARGV[24] or '0'), ARGV[25] or ''
local CALLS_AFTER = 50 -- a job is lost so often at most before a late word of a call comes, or nearly so
local IN_TIME_MS = 50 -- a part of what a window's span allows for the way there
local name, jk, sk, rl = step .. '#' .. n, K('j:' .. id), K('s:' .. id), K('rl:' .. route)
local j = fields(jk, 'fence', 'state', 'lane', 'route', 'tenant', 'seq', 'batch', 'permit', 'nano')
local p = permit_read(permit)

local function really_used(kind, held)
  if outcome == 'failed' then
    return 0
  elseif outcome ~= 'answer' or input + output == 0 then
    return held
  end
  return kind == 'itpm' and math.max(0, input - cached) or kind == 'otpm' and output or input + output
end

local requests_left, tokens_left = tonumber(ARGV[18]), tonumber(ARGV[19])
local LEFT = {rpm = requests_left, tpm = tokens_left}

-- The provider counts more than we know of: somebody else uses the same key. What it says is left is left here, too.
-- Only of a window of the very route: what it tells is about a model.
local function believe_provider(list)
  for i = 1, #list, 5 do
    local left = LEFT[list[i + 1]] or -1
    if list[i] == route and left >= 0 then
      local bucket = bucket_at(list[i + 1], now)
      local w = window_open(route, list[i + 1], bucket)
      local more = list[i + 4] - w.used - w.held - left
      if more > 0 then
        window_put(w, bucket, more)
      end
    end
  end
end

-- What counts when it is used goes to this moment. What came to the provider's door later than it was
-- admitted (a new connection, a busy machine): its minute begins there.
local function settle_windows(list)
  for i = 1, #list, 5 do
    local scope, kind, bucket, held = list[i], list[i + 1], list[i + 2], list[i + 3]
    if bucket == 0 and p.reaped then
      window_move(scope, kind, bucket_at(kind, p.ends), held, bucket_at(kind, now), really_used(kind, held))
    elseif bucket == 0 then
      window_release(scope, kind, held, really_used(kind, held), bucket_at(kind, now))
    elseif not p.reaped and late_ms > IN_TIME_MS and late_ms < 60000 then
      window_move(scope, kind, bucket, held, bucket + math.ceil(late_ms / WINDOWS[kind][2]))
    end
  end
end

local function free_slots(slots)
  for _, scope in ipairs(slots) do
    call('ZREM', K('cs:' .. scope), permit)
    local group = call('SPOP', K('wt:' .. scope))
    if group and call('ZREM', K('thr'), group) == 1 and call('EXISTS', K('q:' .. group)) == 1 then
      offer_group(group)
      call('PUBLISH', K('ctl'), 'work')
    end
  end
end

-- Of a call whose answer never came nobody knows what it cost: the most it may. Of one that was closed, what was
-- sent is certain.
local function settle_money(budgets, was_reaped)
  local back = was_reaped and p.most or p.cost
  local rest = outcome == 'unknown' or outcome == 'cancelled'
  for _, budget in ipairs(budgets) do
    local key = K('bud:' .. budget)
    if back ~= '0' then
      call('HINCRBY', key, was_reaped and 'u' or 'r', '-' .. back)
    end
    if cost > 0 then
      call('HINCRBY', key, 's', ARGV[14])
    end
    if rest then
      call('HINCRBY', key, 'u', string.format('%.0f', math.max(0, number(p.most) - cost)))
    end
  end
end

-- What was used, for people: by day and model, by day and flow, by job, by batch.
local function keep_books()
  local more = {[route] = {1, input, cached, output, cost}}
  if flow ~= '' then
    more['flow:' .. flow] = {1, 0, 0, 0, cost}
  end
  use_add(more)
  if cost > 0 and j.state then
    call('HINCRBY', jk, 'nano', ARGV[14])
  end
  if j.batch then
    call('HINCRBY', K('bt:' .. j.batch), 'nano', ARGV[14])
    call('HINCRBY', K('bt:' .. j.batch), 'tokens', input + output)
  end
  count('answers')
end

-- Groups take turns by tokens: what a call has used moves its group back, less what its claim has done.
local function charge_group()
  local group = group_of(j)
  local claimed = n == '1' and not j.nano and JOB_TOKENS or 0
  local charge = (input + output - claimed) / (WEIGHT[j.lane] or 10)
  if not call('ZADD', K('rdy'), 'XX', 'INCR', charge, group) then
    local start = math.max(number(call('GET', K('vt'))), number(call('ZSCORE', K('fin'), group)))
    call('ZADD', K('fin'), start + charge, group)
  end
end

-- Redis admitted this call and does not know it any more: it was killed before all that it had told was in its file.
-- What was counted then is counted now. Its budgets are not known.
local function remember_call(other)
  count('calls')
  if other or is_asked_by_another(sk, step, question, n, tonumber(n) + CALLS_AFTER) then
    count('repeated')
  end
  keep_books()
end

-- Of several answers to one question the first that came counts, for ever.
local function store_answer()
  if not j.state then
    return 0
  end
  local won = 'won:' .. step .. '#' .. question
  local known = call('HMGET', sk, won, 'call:' .. name, 'answer:' .. name)
  local state, _, ends = (known[2] or ''):match('^(%S+) (%S+) (%S+)')
  local noted = 'answered ' .. question .. ' ' .. (ends or '0') .. ' ' .. permit
  if not p and (known[2] or ''):match('%S*$') ~= permit then
    remember_call(known[2])
  end
  if (known[1] or n) ~= n or known[3] then
    call('HSET', sk, won, known[1] or n, 'call:' .. name, noted)
  else
    call('HSET', sk, won, n, 'call:' .. name, noted, 'answer:' .. name, text)
  end
  if state == 'lost' then
    count('late')
  end
  if j.state == 'ambiguous' then
    call('ZREM', K('dly'), id)
    make_ready(id, j)
  end
  return known[1] or n
end

-- It was not carried out: its number may be used again. Each call but one of those that ask the same was counted
-- as repeated, and while there are others one stays that was not: so this one is taken away from the repetitions,
-- or, where it was the first or is held, counted apart.
local function free_call()
  local text = call('HGET', sk, 'call:' .. name) or ''
  if text:match('%S+$') ~= permit then
    return
  end
  call('HDEL', sk, 'call:' .. name)
  local what = outcome == 'cancelled' and 'cancelled_calls' or outcome
  local others = is_asked_by_another(sk, step, question, n, tonumber(n) + CALLS_AFTER)
  if others and question ~= n then
    count('unrepeated')
  elseif others or text:match('^lost ') and j.state == 'quarantined' then
    what = 'unfounded'
  end
  count(what)
end

-- Those who wait for the same answer get it; if there is none, one of them asks.
local function tell_cache()
  local cache_ms = tonumber(ARGV[21] or '0')
  local keeps = outcome == 'answer' and cache_ms > 0 and #text <= 1048576
  if keeps then
    note_cached(id, cache, cache_ms)
    call('SET', K('ca:' .. cache), string.format('%.0f %.0f ', now, cost) .. text, 'PX', cache_ms)
  end
  if call('GET', K('cq:' .. cache)) == permit then
    call('DEL', K('cq:' .. cache))
  end
  for _, waiting in ipairs(call('SPOP', K('cw:' .. cache), keeps and 1000 or 1)) do
    local w = fields(K('j:' .. waiting), 'state', 'lane', 'route', 'tenant', 'seq', 'batch')
    if w.state == 'parked' and call('ZREM', K('dly'), waiting) == 1 then
      make_ready(waiting, w)
      call('PUBLISH', K('ctl'), 'work')
    end
  end
end

-- ---- how the route is ----

-- The provider said stop: this route rests, and goes on more slowly for some minutes.
local function slow_down(f, f_at)
  local rest = tonumber(ARGV[16]) > 0 and tonumber(ARGV[16]) or 1000
  rest = rest + math.floor(rest * (tonumber(clock[2]) % 100) / 1000)
  call('HSET', rl, 'until', math.max(number(call('HGET', rl, 'until')), now + rest))
  if now - number(f_at) > 60000 then
    call('HSET', rl, 'f', math.max(0.05, tonumber(f or '1') * 0.7), 'f_at', now)
  end
  call('ZADD', K('slow'), now, route)
  count('rate_limited')
end

local function speed_up(f)
  f = tonumber(f) + 0.05
  if f >= 1 then
    call('HDEL', rl, 'f', 'f_at')
  else
    call('HSET', rl, 'f', f, 'f_at', now)
  end
end

-- Nobody is asked for 30 s (without credit: 5 min), then one call tries it out; if that fails, twice as long.
local function open_circuit(level, is_dry, traffic)
  local open_ms = math.min(is_dry and 3600000 or 600000, (is_dry and 300000 or 30000) * 2 ^ (level - 1))
  call('HSET', rl, 'open', level, 'until', now + open_ms)
  call('HDEL', rl, 'probe', 'probe_end')
  call('ZADD', K('slow'), now, route)
  event('circuit', id, route)
  count('circuit_opened')
  traffic.judged, traffic.failed = 0, 0
end

-- Trying again is of no use before somebody has paid: nothing goes there until a person says so, or one call
-- that tries it out now and then is answered. -> is that new?
local function run_dry(traffic, open, probe, dry)
  if dry and probe ~= permit then
    return false -- it was under way when the first was refused
  end
  open_circuit(dry and number(open) + 1 or 1, true, traffic)
  if not dry then
    call('HSET', rl, 'dry', no_credit:sub(1, 60), 'dry_at', now)
    event('no credit', id, route)
  end
  return not dry
end

-- 20 % failures of 20 calls or more in 30 s are too many.
local function judge_route(traffic, open, probe, dry)
  if open and probe == permit and out_of_order then
    open_circuit(number(open) + 1, dry, traffic)
  elseif open and probe == permit then
    call('HDEL', rl, 'open', 'probe', 'probe_end', 'dry', 'dry_at')
  end
  if open then
    return
  end
  if now - traffic.since > 30000 then
    traffic.since, traffic.judged, traffic.failed = now, 0, 0
  end
  traffic.judged, traffic.failed = traffic.judged + 1, traffic.failed + (out_of_order and 1 or 0)
  if out_of_order and traffic.judged >= 20 and traffic.failed >= traffic.judged * 0.2 then
    open_circuit(1, false, traffic)
  end
end

-- -> 1: from now on nothing goes there
local function look_at_route()
  local r = call('HMGET', rl, 'f', 'f_at', 'c', 'open', 'probe', 'dry')
  local traffic, news = traffic_read(r[3]), nil
  if no_credit ~= '' then
    news = run_dry(traffic, r[4], r[5], r[6]) and 1 or nil
  else
    judge_route(traffic, r[4], r[5], r[6])
  end
  if requests_left > 0 or tokens_left > 0 then
    traffic.told = 1 -- one that always says 0, as some do, does not know
  end
  call('HSET', rl, 'c', traffic_packed(traffic))
  if rate_limited then
    slow_down(r[1], r[2])
  elseif r[1] and now - number(r[2]) > 60000 then
    speed_up(r[1])
  end
  if not rate_limited and traffic.told == 1 then
    believe_provider(p.windows)
    if requests_left == 0 or tokens_left == 0 then
      call('HSET', rl, 'until', math.max(number(call('HGET', rl, 'until')), now + 500))
    end
  end
  if not r[3] then
    call('PEXPIRE', rl, DAY)
  end
  return news
end

-- What this call shows about the next ones of the step. All that is known goes back now and then: other workers
-- have learned, too.
local function learn()
  local key = K('past:' .. learner)
  local length = call('LPUSH', key, ARGV[23])
  if length == 1 or length > 160 then
    call('LTRIM', key, 0, 127)
    call('PEXPIRE', key, 100 * DAY)
  end
  return length % 16 == 0 and call('LRANGE', key, 0, 127) or ''
end

-- ---- all of it ----

local news
if p then
  settle_windows(p.windows)
  free_slots(p.slots)
  settle_money(p.budgets, p.reaped)
  call('DEL', K('p:' .. permit))
  call('ZREM', K('px'), permit)
  if outcome == 'answer' or outcome == 'cancelled' then
    keep_books()
    if j.state then
      charge_group()
    end
  end
  news = look_at_route()
end

local winner = 0
if outcome == 'answer' then
  winner = store_answer()
elseif outcome == 'unknown' then
  lose_call(id, name, permit)
else
  free_call()
end
if j.permit == permit then
  call('HDEL', jk, 'permit', 'call_end')
end
if cache ~= '' then
  tell_cache()
end
local learned = p and outcome == 'answer' and learner ~= '' and learn() or ''
local ours = j.fence == fence and j.state == 'active' and 1 or 0
if winner ~= 0 and winner ~= n then
  return {ours, tonumber(winner), call('HGET', sk, 'answer:' .. step .. '#' .. winner) or '', learned, news}
end
return {ours, tonumber(winner), '', learned, news}
