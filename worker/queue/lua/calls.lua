-- calls.lua: calls to providers, as the scripts keep them.

-- What a call reserved: job, name, cost expected and at most, when it is certainly over, 1: its owner was taken for
-- dead; then by fives what it has of each rule: kind, scope, bucket, amount, limit. Of a window bucket 0 means that it
-- is held until the call is over; of a budget the scope is "<scope>:<period>"; a slot has only its scope. Amounts of
-- money are texts.
local TAKEN = 7

local function permit_read(permit)
  local packed = call('GET', K('p:' .. permit))
  local p = packed and {cmsgpack.unpack(packed)}
  if p then
    p.job, p.name, p.cost, p.most, p.ends, p.reaped = p[1], p[2], p[3], p[4], p[5], p[6] == 1
  end
  return p
end

-- What a route has had: calls that ended and retries of this minute, and for the circuit breaker since when how many
-- calls were judged and how many of them failed; told: it has told us of something left; ill: rl:<route> may be there;
-- is_new: the minute has just begun, and nobody has looked at that yet.
local traffics = {}

local function traffic_read(route)
  if traffics[route] then
    return traffics[route]
  end
  local packed, minute = call('HGET', K('tr'), route), math.floor(now / 60000)
  local t = {minute = 0, calls = 0, retries = 0, since = 0, judged = 0, failed = 0, told = 0, ill = 0}
  if packed then
    t.minute, t.calls, t.retries, t.since, t.judged, t.failed, t.told, t.ill = cmsgpack.unpack(packed)
    t.ill = t.ill or 1 -- an older release does not tell
  end
  if t.minute ~= minute then
    t.is_new, t.minute, t.calls, t.retries = true, minute, 0, 0
  end
  traffics[route] = t
  return t
end

-- It has changed.
local function traffic_write(route, t)
  if t.is_written then
    return
  end
  t.is_written = true
  local is_new = t.is_new
  at_the_end(function()
    call('HSET', K('tr'), route, cmsgpack.pack(t.minute, t.calls, t.retries, t.since, t.judged, t.failed, t.told, t.ill))
    if is_new then
      call('PEXPIRE', K('tr'), DAY)
    end
  end)
end

-- What was used today: by flow and route, as "<flow>|<route>", calls, tokens in, of those cached, tokens out,
-- nano-dollars, hits and misses of the cache, nano-dollars saved by it; as many of them as there are.
local uses = {}

local function use_add(flow, route, ...)
  local name, more = flow .. '|' .. route, {...}
  local sums = uses[name]
  if not sums then
    local key = K('use:' .. math.floor(now / DAY))
    local old = call('HGET', key, name)
    sums = old and {cmsgpack.unpack(old)} or {}
    uses[name] = sums
    at_the_end(function()
      if call('HSET', key, name, cmsgpack.pack(unpack(sums))) > 0 then
        call('PEXPIRE', key, 100 * DAY)
      end
    end)
  end
  for k = 1, math.max(#sums, #more) do
    sums[k] = (sums[k] or 0) + (more[k] or 0)
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
