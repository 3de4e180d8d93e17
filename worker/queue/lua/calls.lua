-- calls.lua: calls to providers, as the scripts keep them.

-- What a call reserved: job, name, cost expected and at most, when it is certainly over, scopes whose slot it
-- has, windows as scope, kind, bucket (0: held until it is over), amount, limit, ...; budgets. Amounts of money are
-- texts. reaped: its owner was taken for dead.
local function permit_write(permit, job, name, cost, most, ends, slots, windows, budgets)
  call('SET', K('p:' .. permit), cmsgpack.pack(job, name, cost, most, ends, slots, windows, budgets))
end

local function permit_read(permit)
  local packed, p = call('GET', K('p:' .. permit)), {}
  if packed then
    p.job, p.name, p.cost, p.most, p.ends, p.slots, p.windows, p.budgets, p.reaped = cmsgpack.unpack(packed)
    return p
  end
end

-- Its slots are free now; the rest is kept for a late answer.
local function permit_reaped(permit, p)
  local packed = cmsgpack.pack(p.job, p.name, p.cost, p.most, p.ends, {}, p.windows, p.budgets, true)
  call('SET', K('p:' .. permit), packed, 'PX', '3600000')
end

-- What a route has had: calls and retries of a minute, and for the circuit breaker since when how many calls were
-- judged and how many of them failed; told: it has told us of something left.
local function traffic_read(packed)
  local t = {minute = 0, calls = 0, retries = 0, since = 0, judged = 0, failed = 0, told = 0}
  if packed then
    t.minute, t.calls, t.retries, t.since, t.judged, t.failed, t.told = cmsgpack.unpack(packed)
  end
  return t
end

local function traffic_packed(t)
  return cmsgpack.pack(t.minute, t.calls, t.retries, t.since, t.judged, t.failed, t.told)
end

-- What was used today: by route or flow calls, tokens in, of those cached, tokens out, nano-dollars, hits and misses
-- of the cache, nano-dollars saved by it; as many of them as there are.
local function use_add(more)
  local key, names, set = K('use:' .. math.floor(now / DAY)), {}, {}
  for name in pairs(more) do
    names[#names + 1] = name
  end
  local old = call('HMGET', key, unpack(names))
  for i, name in ipairs(names) do
    local sums = old[i] and {cmsgpack.unpack(old[i])} or {}
    for k, amount in ipairs(more[name]) do
      sums[k] = (sums[k] or 0) + amount
    end
    set[#set + 1] = name
    set[#set + 1] = cmsgpack.pack(unpack(sums))
  end
  if call('HSET', key, unpack(set)) > 0 then
    call('PEXPIRE', key, 100 * DAY)
  end
end

-- The answer to a question about an item is in the cache: erase.lua finds it.
local function note_cached(id, cache, cache_ms)
  local item = call('HGET', K('j:' .. id), 'item')
  if item then
    call('ZADD', K('itm'), now + cache_ms, 'ca\n' .. item .. '\n' .. cache)
  end
end

-- A call ended without an answer that we know of. It is counted once, as ambiguous.
local function lose_call(id, name, permit)
  local sk = K('s:' .. id)
  local state, question, ends, who = (call('HGET', sk, 'call:' .. name) or ''):match('^(%S+) (%S+) (%S+) (%S+)')
  if state == 'sent' and who == permit then
    call('HSET', sk, 'call:' .. name, 'lost ' .. question .. ' ' .. ends .. ' ' .. who)
    count('ambiguous')
    event('ambiguous', id, name)
  end
end

-- Whether one of the calls up to the last one, other than the n-th, asks the same question.
local function is_asked_by_another(sk, step, question, n, last)
  local names = {}
  for i = tonumber(question), last do
    if i ~= tonumber(n) then
      names[#names + 1] = string.format('call:%s#%d', step, i)
    end
  end
  for _, text in ipairs(#names > 0 and call('HMGET', sk, unpack(names)) or {}) do
    if text and text:match('^%S+ (%S+)') == question then
      return true
    end
  end
  return false
end
