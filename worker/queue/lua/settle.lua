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
-- Told of several at once: each.lua.
-- With: windows releases groups calls
local permit, id, fence, step, n, question, route, flow, outcome, text = unpack(ARGV, 1, 10)
local input, cached, output, cost = tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14])
local rate_limited, out_of_order = ARGV[15] == '1', ARGV[17] == '1'
local requests_left, tokens_left = tonumber(ARGV[18]), tonumber(ARGV[19])
local cache, learner, late_ms, no_credit = ARGV[20] or '', ARGV[22] or '', tonumber(ARGV[24] or '0'), ARGV[25] or ''
local CALLS_AFTER = 50 -- a job is lost so often at most before a late word of a call comes, or nearly so
local IN_TIME_MS = 50 -- a part of what a window's span allows for the way there
local name, jk, sk, rl = step .. '#' .. n, K('j:' .. id), K('s:' .. id), K('rl:' .. route)
local got = call('HMGET', jk, 'fence', 'state', 'permit', 'batch', 'nano', 'lane', 'route', 'tenant')
local j = {fence = got[1], state = got[2], permit = got[3], batch = got[4], nano = got[5], lane = got[6], route = got[7],
  tenant = got[8]}
local p = permit_read(permit)
local is_answer = outcome == 'answer'
local is_charged = is_answer or outcome == 'cancelled'

local function really_used(kind, held)
  if outcome == 'failed' then
    return 0
  elseif not is_answer or input + output == 0 then
    return held
  end
  return kind == 'itpm' and math.max(0, input - cached) or kind == 'otpm' and output or input + output
end

-- ---- what it had of windows, slots and money is given back or booked ----

for i = TAKEN, p and #p or 0, 5 do
  local kind, scope, bucket, held = p[i], p[i + 1], p[i + 2], p[i + 3]
  if kind == 'slot' then
    call('ZREM', K('cs:' .. scope), permit .. LONG)
    local group = call('SPOP', K('wt:' .. scope))
    if group and call('ZREM', K('thr'), group) == 1 and call('EXISTS', K('q:' .. group)) == 1 then
      offer_group(group)
      call('PUBLISH', K('ctl'), 'work')
    end

  -- Of a call whose answer never came nobody knows what it cost: the most it may. Of one that was closed, what was
  -- sent is certain.
  elseif kind == 'budget' then
    local key, back = K('bud:' .. scope), p.reaped and p.most or p.cost
    if back ~= '0' then
      call('HINCRBY', key, p.reaped and 'u' or 'r', '-' .. back)
    end
    if cost > 0 then
      call('HINCRBY', key, 's', ARGV[14])
    end
    if outcome == 'unknown' or outcome == 'cancelled' then
      call('HINCRBY', key, 'u', string.format('%.0f', math.max(0, number(p.most) - cost)))
    end

  -- What counts when it is used goes to this moment. What came to the provider's door later than it was admitted
  -- (a new connection, a busy machine): its minute begins there.
  elseif bucket == 0 and p.reaped then
    window_move(scope, kind, bucket_at(kind, p.ends), held, bucket_at(kind, now), really_used(kind, held))
  elseif bucket == 0 then
    window_release(scope, kind, held, really_used(kind, held), bucket_at(kind, now))
  elseif not p.reaped and late_ms > IN_TIME_MS and late_ms < 60000 then
    local _, size = window_sizes(kind)
    window_move(scope, kind, bucket, held, bucket + math.ceil(late_ms / size))
  end
end
if p then
  call('DEL', K('p:' .. permit))
  call('ZREM', K('px'), permit .. LONG)
end

-- ---- what was used, for people: by day, flow and model, by job, by batch ----

local function keep_books()
  use_add(flow, route, 1, input, cached, output, cost)
  if cost > 0 and j.state then
    call('HINCRBY', jk, 'nano', ARGV[14])
  end
  if j.batch then
    call('HINCRBY', K('bt:' .. j.batch), 'nano', ARGV[14])
    call('HINCRBY', K('bt:' .. j.batch), 'tokens', input + output)
  end
  count('answers')
end

if p and is_charged then
  keep_books()
end

-- Groups take turns by tokens: what a call has used moves its group back, less what its claim has done.
if p and is_charged and j.state then
  local group = group_of(j)
  local claimed = n == '1' and not j.nano and JOB_TOKENS or 0
  local charge = (input + output - claimed) / weight_of(j.lane)
  if not call('ZADD', K('rdy'), 'XX', 'INCR', charge, group) and not call('ZADD', K('fin'), 'XX', 'INCR', charge, group) then
    call('ZADD', K('fin'), number(call('GET', K('vt'))) + charge, group)
  end
end

-- ---- how the route is ----

-- Something is wrong with it, or was, or it has told how much it has left. -> 1: from now on nothing goes there
local function look_at_trouble(traffic, is_known)
  local f, f_at, open, probe, dry, news
  if is_known then
    f, f_at, open, probe, dry = unpack(call('HMGET', rl, 'f', 'f_at', 'open', 'probe', 'dry'))
  end

  -- Nobody is asked for 30 s (without credit: 5 min), then one call tries it out; if that fails, twice as long.
  local function open_circuit(level, is_dry)
    local open_ms = math.min(is_dry and 3600000 or 600000, (is_dry and 300000 or 30000) * 2 ^ (level - 1))
    call('HSET', rl, 'open', level, 'until', now + open_ms)
    call('HDEL', rl, 'probe', 'probe_end')
    call('ZADD', K('slow'), now, route)
    event('circuit', id, route)
    count('circuit_opened')
    traffic.judged, traffic.failed = 0, 0
  end

  -- Trying again is of no use before somebody has paid: nothing goes there until a person says so, or one call
  -- that tries it out now and then is answered. Who was under way when the first was refused says nothing new.
  if no_credit ~= '' and not (dry and probe ~= permit) then
    open_circuit(dry and number(open) + 1 or 1, true)
    if not dry then
      call('HSET', rl, 'dry', no_credit:sub(1, 60), 'dry_at', now)
      event('no credit', id, route)
      news = 1
    end
  elseif no_credit == '' and open and probe == permit then
    if out_of_order then
      open_circuit(number(open) + 1, dry)
    else
      call('HDEL', rl, 'open', 'probe', 'probe_end', 'dry', 'dry_at')
    end
  elseif no_credit == '' and not open then -- 20 % failures of 20 calls or more in 30 s are too many
    if now - traffic.since > 30000 then
      traffic.since, traffic.judged, traffic.failed = now, 0, 0
    end
    traffic.judged, traffic.failed = traffic.judged + 1, traffic.failed + (out_of_order and 1 or 0)
    if out_of_order and traffic.judged >= 20 and traffic.failed >= traffic.judged * 0.2 then
      open_circuit(1, false)
    end
  end

  -- The provider said stop: this route rests, and goes on more slowly for some minutes.
  if rate_limited then
    local rest = tonumber(ARGV[16]) > 0 and tonumber(ARGV[16]) or 1000
    rest = rest + math.floor(rest * (tonumber(clock[2]) % 100) / 1000)
    call('HSET', rl, 'until', math.max(number(call('HGET', rl, 'until')), now + rest))
    if now - number(f_at) > 60000 then
      call('HSET', rl, 'f', math.max(0.05, tonumber(f or '1') * 0.7), 'f_at', now)
    end
    call('ZADD', K('slow'), now, route)
    count('rate_limited')
  elseif f and now - number(f_at) > 60000 then
    if tonumber(f) + 0.05 >= 1 then
      call('HDEL', rl, 'f', 'f_at')
    else
      call('HSET', rl, 'f', tonumber(f) + 0.05, 'f_at', now)
    end
  end

  -- What it says is left. The provider may count more than we know of: somebody else uses the same key. Then what it
  -- says is left here, too; only of a window of the very route: what it tells is about a model.
  if requests_left > 0 or tokens_left > 0 then
    traffic.told = 1 -- one that always says 0, as some do, does not know
  end
  if not rate_limited and traffic.told == 1 and requests_left + tokens_left > -2 then
    for i = TAKEN, #p, 5 do
      local left = p[i] == 'rpm' and requests_left or p[i] == 'tpm' and tokens_left or -1
      if p[i + 1] == route and left >= 0 then
        local bucket = bucket_at(p[i], now)
        local w = window_open(route, p[i], bucket)
        local more = p[i + 4] - w.used - w.held - left
        if more > 0 then
          window_put(w, bucket, more)
        end
      end
    end
    if requests_left == 0 or tokens_left == 0 then
      call('HSET', rl, 'until', math.max(number(call('HGET', rl, 'until')), now + 500))
    end
  end
  traffic.ill = call('PEXPIRE', rl, DAY)
  return news
end

local news
if p then
  local traffic = traffic_read(route)
  local is_known = traffic.ill == 1 and call('EXISTS', rl) == 1
  if is_known or rate_limited or out_of_order or no_credit ~= '' or requests_left + tokens_left > -2 then
    news = look_at_trouble(traffic, is_known)
  elseif now - traffic.since > 30000 then
    traffic.since, traffic.judged, traffic.failed = now, 1, 0
  else
    traffic.judged = traffic.judged + 1
  end
  traffic.calls = traffic.calls + 1
  traffic_write(route, traffic)
  if traffic.is_new then -- for people: which scopes are in use
    traffic.is_new = false
    for i = TAKEN, #p, 5 do
      local scope = p[i] == 'budget' and p[i + 1]:match('^(.*):') or p[i + 1]
      if scope:sub(1, 6) ~= 'batch:' then -- a batch's budget is shown with the batch
        call('ZADD', K('scp'), now, scope)
      end
    end
  end
end

-- ---- the answer ----

local winner, first = 0, ''
if is_answer and j.state then -- of several to one question the first that came counts, for ever
  local won = 'won:' .. step .. '#' .. question
  local known = call('HMGET', sk, won, 'call:' .. name, 'answer:' .. name)
  local state, _, ends = (known[2] or ''):match('^(%S+) (%S+) (%S+)')
  local noted = 'answered ' .. question .. ' ' .. (ends or '0') .. ' ' .. permit
  winner = known[1] or n

  -- Redis admitted this call and does not know it any more: it was killed before all that it had told was in its file.
  -- What was counted then is counted now. Its budgets are not known.
  if not p and (known[2] or ''):match('%S*$') ~= permit then
    count('calls')
    if known[2] or is_asked_by_another(sk, step, question, n, tonumber(n) + CALLS_AFTER) then
      count('repeated')
    end
    keep_books()
  end
  if winner ~= n or known[3] then
    first = winner == n and known[3] or call('HGET', sk, 'answer:' .. step .. '#' .. winner) or ''
    first = first ~= text and first or ''
    call('HSET', sk, won, winner, 'call:' .. name, noted)
  else
    call('HSET', sk, won, n, 'call:' .. name, noted, 'answer:' .. name, text)
  end
  if state == 'lost' then
    count('late')
  end
  if j.state == 'ambiguous' then
    j.seq = call('HGET', jk, 'seq')
    call('ZREM', K('dly'), id)
    make_ready(id, j)
  end
elseif outcome == 'unknown' then
  lose_call(id, name, permit)
elseif not is_answer then
  -- It was not carried out: its number may be used again. Each call but one of those that ask the same was counted
  -- as repeated, and while there are others one stays that was not: so this one is taken away from the repetitions,
  -- or, where it was the first or is held, counted apart.
  local text = call('HGET', sk, 'call:' .. name) or ''
  if text:match('%S+$') == permit then
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
end
if j.permit == permit then
  call('HDEL', jk, 'permit', 'call_end')
end

-- Those who wait for the same answer get it; if there is none, one of them asks.
if cache ~= '' then
  local cache_ms = tonumber(ARGV[21] or '0')
  local keeps = is_answer and cache_ms > 0 and #text <= 1048576
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

-- What this call shows about the next ones of the step. All that is known goes back now and then: other workers
-- have learned, too.
local learned = ''
if p and is_answer and learner ~= '' then
  local key = K('past:' .. learner)
  local length = call('LPUSH', key, ARGV[23])
  if length == 1 or length > 160 then
    call('LTRIM', key, 0, 127)
    call('PEXPIRE', key, 100 * DAY)
  end
  learned = length % 16 == 0 and call('LRANGE', key, 0, 127) or ''
end

local ours = j.fence == fence and j.state == 'active' and 1 or 0
return {ours, tonumber(winner), first, learned, news}
