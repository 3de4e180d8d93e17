-- settle: a call is over. What was really used is booked, the rest given back, an answer stored.
-- ARGV: permit, job, fence, step, n, question, route, flow, outcome (answer failed unknown cancelled), answer,
--       input, cached and output tokens, cost in nano-dollars, rate limited 0|1, retry after ms,
--       out of order 0|1 (5xx, overload, network: counts for the circuit breaker),
--       requests left, tokens left by the provider's own count (-1: not told),
--       digest of the question for the cache or '', ms for which it keeps the answer (0: not at all),
--       calibration to learn or '', then for that: what was estimated: tokens by classes, bytes, tokens of the
--       question, tokens of the answer; how many ms after asking for the permit the call was sent;
--       what the provider calls it that there is no credit left, or ''
-- Reply: {is the job still ours 0|1, n of the answer that counts or 0, that answer if it is another one,
--        what was learned or ''[, 1: from now on nothing goes to the route, because no credit is left]}
-- Sent twice: the record is gone, nothing is booked again; the first answer to a question stays. An
-- answer is taken from anybody: it was paid for.
-- With: windows groups calls
local permit, id, fence, step, n, question, route, flow, outcome, text = unpack(ARGV, 1, 10)
local input, cached, output, cost = tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14])
local rate_limited, retry_after_ms, out_of_order = ARGV[15] == '1', tonumber(ARGV[16]), ARGV[17] == '1'
local requests_left, tokens_left = tonumber(ARGV[18]), tonumber(ARGV[19])
local cache, cache_ms, learner, late_ms = ARGV[20] or '', tonumber(ARGV[21] or '0'), ARGV[22] or '', tonumber(ARGV[27] or '0')
local no_credit = ARGV[28] or ''
local IN_TIME_MS = 50 -- a part of what a window's span allows for the way there
local name, jk, sk, rl = step .. '#' .. n, K('j:' .. id), K('s:' .. id), K('rl:' .. route)
local j = fields(jk, 'fence', 'state', 'lane', 'route', 'tenant', 'seq', 'batch', 'permit', 'nano')
local WINDOW_MS, CALLS_TO_JUDGE, FAILED_SHARE = 30000, 20, 0.2
local OPEN_MS = {first = 30000, most = 600000} -- how long nobody is asked: that doubles
local DRY_MS = {first = 300000, most = 3600000}
local CACHED_MAX = 1048576

local function really_used(kind, held)
  if outcome == 'failed' then
    return 0
  elseif outcome == 'unknown' or input + output == 0 then
    return held
  end
  return kind == 'itpm' and math.max(0, input - cached) or kind == 'otpm' and output or input + output
end

-- It came to the provider's door later than it was admitted (a new connection, a busy machine): its minute
-- begins there.
local function move_window(scope, kind, bucket, held)
  local back = window_take_back(scope, kind, bucket, held)
  if back > 0 then
    window_add(scope, kind, bucket + math.ceil(late_ms / WINDOWS[kind].size), back)
  end
end

local function settle_windows(list)
  for kind, mode, bucket, held, scope in list:gmatch('(%S+) (%S+) (%S+) (%S+) ([^\n]+)') do
    if mode == 'usage' then
      window_used(scope, kind)
      window_take_back(scope, kind, tonumber(bucket), tonumber(held))
      local used = really_used(kind, tonumber(held))
      if used > 0 then
        window_add(scope, kind, bucket_at(kind, now), used)
      end
    elseif late_ms > IN_TIME_MS and late_ms < 60000 then
      move_window(scope, kind, tonumber(bucket), tonumber(held))
    end
  end
end

local function free_slots(list)
  for scope in list:gmatch('[^\n]+') do
    call('ZREM', K('cs:' .. scope), permit)
    local group = call('SPOP', K('wt:' .. scope))
    if group and call('ZREM', K('thr'), group) == 1 and call('EXISTS', K('q:' .. group)) == 1 then
      offer_group(group)
      call('PUBLISH', K('ctl'), 'work')
    end
  end
end

-- Of a call whose answer never came nobody knows what it cost: the most it may.
local function settle_money(list, reserved, most, was_reaped)
  for budget in list:gmatch('[^\n]+') do
    local key = K('bud:' .. budget)
    call('HINCRBY', key, was_reaped and 'u' or 'r', 0 - (was_reaped and most or reserved))
    if outcome == 'unknown' or outcome == 'cancelled' and cost == 0 then
      call('HINCRBY', key, 'u', most)
    elseif cost > 0 then
      call('HINCRBY', key, 's', cost)
    end
  end
end

-- What was used, for people: by day and model, by day and flow, by job, by batch.
local function keep_books()
  local day = K('use:' .. math.floor(now / DAY))
  for what, amount in pairs({calls = 1, ['in'] = input, cached = cached, out = output, nano = cost}) do
    if amount > 0 then
      call('HINCRBY', day, route .. '|' .. what, amount)
    end
  end
  if flow ~= '' then
    call('HINCRBY', day, 'flow:' .. flow .. '|calls', 1)
    call('HINCRBY', day, 'flow:' .. flow .. '|nano', cost)
  end
  call('PEXPIRE', day, 100 * DAY)
  if cost > 0 and j.state then
    call('HINCRBY', jk, 'nano', cost)
  end
  if j.batch then
    call('HINCRBY', K('bt:' .. j.batch), 'nano', cost)
    call('HINCRBY', K('bt:' .. j.batch), 'tokens', input + output)
  end
end

-- Groups take turns by tokens: what a call has used moves its group back, less what its claim has done.
local function charge_group()
  if not j.state then
    return
  end
  local group = group_of(j)
  local claimed = n == '1' and not j.nano and JOB_TOKENS or 0
  local charge = (input + output - claimed) / (WEIGHT[j.lane] or 10)
  if call('ZSCORE', K('rdy'), group) then
    call('ZINCRBY', K('rdy'), charge, group)
  else
    local start = math.max(number(call('GET', K('vt'))), number(call('ZSCORE', K('fin'), group)))
    call('ZADD', K('fin'), start + charge, group)
  end
end

-- Of several answers to one question the first that came counts, for ever.
local function store_answer()
  if not j.state then
    return 0
  end
  local won = 'won:' .. step .. '#' .. question
  call('HSETNX', sk, won, n)
  local winner = call('HGET', sk, won)
  local state, _, ends = (call('HGET', sk, 'call:' .. name) or ''):match('^(%S+) (%S+) (%S+)')
  if winner == n then
    call('HSETNX', sk, 'answer:' .. name, text)
  end
  call('HSET', sk, 'call:' .. name, 'answered ' .. question .. ' ' .. (ends or '0') .. ' ' .. permit)
  if state == 'lost' then
    count('late')
  end
  if j.state == 'ambiguous' then
    call('ZREM', K('dly'), id)
    make_ready(id, j)
  end
  return winner
end

-- It was not carried out: its number may be used again. If it was taken for lost, and somebody has drawn
-- conclusions from that, it is counted apart.
local function free_call()
  local text = call('HGET', sk, 'call:' .. name) or ''
  if text:match('%S+$') ~= permit then
    return
  end
  call('HDEL', sk, 'call:' .. name)
  local next_call = call('HEXISTS', sk, 'call:' .. step .. '#' .. string.format('%d', n + 1)) == 1
  if question ~= n and call('HEXISTS', sk, 'call:' .. step .. '#' .. string.format('%d', n - 1)) == 1 then
    count('unrepeated') -- it was counted as repeated, but was not made after all
  end
  local too_late = text:match('^lost ') and (next_call or j.state == 'quarantined')
  count(too_late and 'unfounded' or outcome)
end

local function settle_intent()
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
  return winner
end

-- The provider said stop: this route rests, and goes on more slowly for some minutes.
local function slow_down()
  local rest = retry_after_ms > 0 and retry_after_ms or 1000
  rest = rest + math.floor(rest * (tonumber(clock[2]) % 100) / 1000)
  call('HSET', rl, 'until', math.max(number(call('HGET', rl, 'until')), now + rest))
  local w = fields(rl, 'f', 'f_at')
  if now - number(w.f_at) > 60000 then
    call('HSET', rl, 'f', math.max(0.05, tonumber(w.f or '1') * 0.7), 'f_at', now)
  end
  call('ZADD', K('slow'), now, route)
  count('rate_limited')
end

local function speed_up()
  local w = fields(rl, 'f', 'f_at')
  if w.f and now - number(w.f_at) > 60000 then
    local f = tonumber(w.f) + 0.05
    if f >= 1 then
      call('HDEL', rl, 'f', 'f_at')
    else
      call('HSET', rl, 'f', f, 'f_at', now)
    end
  end
end

local function open_circuit(level, rest)
  local open_ms = math.min(rest.most, rest.first * 2 ^ (level - 1))
  call('HSET', rl, 'open', level, 'until', now + open_ms, 'judged', 0, 'failed', 0)
  call('HDEL', rl, 'probe', 'probe_end')
  call('ZADD', K('slow'), now, route)
  event('circuit', id, route)
  count('circuit_opened')
end

-- Trying again is of no use before somebody has paid: nothing goes there until a person says so, or one call
-- that tries it out now and then is answered. -> is that new?
local function run_dry()
  local c = fields(rl, 'open', 'probe', 'dry')
  if c.dry and c.probe ~= permit then
    return false -- it was under way when the first was refused
  end
  open_circuit(c.dry and number(c.open) + 1 or 1, DRY_MS)
  if not c.dry then
    call('HSET', rl, 'dry', no_credit:sub(1, 60), 'dry_at', now)
    event('no credit', id, route)
  end
  return not c.dry
end

-- 20 % failures of 20 calls or more in 30 s: the route rests for 30 s, then one call tries it out.
local function judge_route()
  local c = fields(rl, 'since', 'judged', 'failed', 'open', 'probe', 'dry')
  if c.open then
    if c.probe == permit then
      if out_of_order then
        return open_circuit(number(c.open) + 1, c.dry and DRY_MS or OPEN_MS)
      end
      call('HDEL', rl, 'open', 'probe', 'probe_end', 'dry', 'dry_at')
    end
    return
  end
  if now - number(c.since) > WINDOW_MS then
    c.judged, c.failed = 0, 0
    call('HSET', rl, 'since', now)
  end
  local judged, failed = number(c.judged) + 1, number(c.failed) + (out_of_order and 1 or 0)
  call('HSET', rl, 'judged', judged, 'failed', failed)
  if out_of_order and judged >= CALLS_TO_JUDGE and failed >= judged * FAILED_SHARE then
    open_circuit(1, OPEN_MS)
  end
end

-- Those who wait for the same answer get it; if there is none, one of them asks.
local function tell_cache()
  if cache == '' then
    return
  end
  local keeps = outcome == 'answer' and cache_ms > 0 and #text <= CACHED_MAX
  if keeps then
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

-- The least squares of the relative error: (tokens - estimate) / estimate over 1 / estimate, 1 and bytes /
-- estimate, each but the mean drawn towards 0 a little, so that texts that are all alike say no more than they do.
-- s: sums of 1, x, xx, z, zz, xz, y, xy, zy with x = 50 / estimate, z = bytes / (5 * estimate).
local function fit_line(s)
  local w, mx, mz, my = s[1], s[2] / s[1], s[4] / s[1], s[7] / s[1]
  local xx, zz, xz = s[3] - w * mx * mx + 0.01, s[5] - w * mz * mz + 0.01, s[6] - w * mx * mz
  local xy, zy = s[8] - w * mx * my, s[9] - w * mz * my
  local det = xx * zz - xz * xz
  local bx, bz = (xy * zz - zy * xz) / det, (zy * xx - xy * xz) / det
  return bx * 50, my - bx * mx - bz * mz, bz / 5
end

-- The length that 95 % of the answers did not exceed. Buckets are 3 % wide.
local function output_p95(key, calls)
  local buckets, sum, below = {}, 0, 0
  local h = call('HGETALL', key)
  for i = 1, #h, 2 do
    local b = h[i]:match('^o(%d+)$')
    if b then
      local n = tonumber(h[i + 1])
      if calls % 512 == 0 then -- what was long ago counts less
        n = math.floor(n / 2)
        call('HSET', key, h[i], n)
      end
      buckets[#buckets + 1] = {tonumber(b), n}
      sum = sum + n
    end
  end
  table.sort(buckets, function(a, b) return a[1] < b[1] end)
  for _, b in ipairs(buckets) do
    below = below + b[2]
    if below >= 0.95 * sum then
      return math.ceil(1.03 ^ (b[1] + 1))
    end
  end
  return 0
end

-- What this call shows about the next one of the step: how many tokens its texts are, how long the answers.
local function learn()
  if learner == '' or outcome ~= 'answer' then
    return ''
  end
  local key = K('cal:' .. learner)
  local raw, bytes, guess, expected = tonumber(ARGV[23]), tonumber(ARGV[24]), tonumber(ARGV[25]), tonumber(ARGV[26])
  local c = fields(key, 's', 'n', 'near', 'over', 'line')
  local n, s = number(c.n) + 1, {}
  local x, z, y = 50 / raw, bytes / (5 * raw), input / raw
  for old in (c.s or '0 0 0 0 0 0 0 0 0'):gmatch('%S+') do
    s[#s + 1] = tonumber(old) * 0.99
  end
  for k, new in ipairs({1, x, x * x, z, z * z, x * z, y, x * y, z * y}) do
    s[k] = s[k] + new
  end
  call('HINCRBY', key, string.format('o%d', math.floor(math.log(math.max(1, output)) / math.log(1.03))), 1)
  local line = c.line or ''
  if n <= 100 or n % 16 == 0 then
    local fixed, per_token, per_byte = fit_line(s)
    line = string.format('%d %.6g %.6g %.6g %d', n, fixed, per_token, per_byte, n >= 20 and output_p95(key, n) or 0)
    call('PEXPIRE', key, 100 * DAY)
  end
  call('HSET', key, 's', table.concat(s, ' '), 'n', n, 'line', line,
    'near', number(c.near) + (math.abs(guess - input) <= 0.05 * input and 1 or 0),
    'over', number(c.over) + (output > expected and 1 or 0))
  return line ~= c.line and line or ''
end

local p = fields(K('p:' .. permit), 'job', 'cost', 'slots', 'windows', 'budgets', 'reaped', 'most')
local is_new = false
if p.job then
  settle_windows(p.windows)
  free_slots(p.slots)
  settle_money(p.budgets, tonumber(p.cost), tonumber(p.most or p.cost), p.reaped)
  call('DEL', K('p:' .. permit))
  call('ZREM', K('px'), permit)
  if outcome == 'answer' or outcome == 'cancelled' then
    keep_books()
    charge_group()
    count('answers')
  end
  if no_credit ~= '' then
    is_new = run_dry()
  else
    judge_route()
  end
  if rate_limited then
    slow_down()
  else
    speed_up()
    if requests_left == 0 or tokens_left == 0 then
      call('HSET', rl, 'until', math.max(number(call('HGET', rl, 'until')), now + 500))
    end
  end
  call('PEXPIRE', rl, DAY)
end
local winner = settle_intent()
tell_cache()
local learned = p.job and learn() or ''
local news = is_new and 1 or nil
local ours = j.fence == fence and j.state == 'active' and 1 or 0
if winner ~= 0 and winner ~= n then
  return {ours, tonumber(winner), call('HGET', sk, 'answer:' .. step .. '#' .. winner) or '', learned, news}
end
return {ours, tonumber(winner), '', learned, news}
