-- scopes: how full every scope is, for people.
-- ARGV: of each budget to look at scope, budget, period; of each window scope, kind, limit
-- Reply: {windows, slots, budgets}: windows as {scope, kind, used, ...}, slots as {scope, used, end of the first ms, ...},
--        budgets as {scope, period, spent, reserved, unconfirmed, ...}; scopes; rooms: when one more fits, as
--        {scope, kind, at ms (0: now), ...}; routes that rest or are slowed down, as {route, until ms, factor,
--        why: '', circuit, or credit and what the provider calls it, ...}}
-- Forgets what has left a window; sent twice: the same.
-- With: windows routes
local windows, slots, budgets, rooms, rests = {}, {}, {}, {}, {}
local factors = {}

local function put(list, ...)
  for _, value in ipairs({...}) do
    list[#list + 1] = value
  end
end

call('ZREMRANGEBYSCORE', K('scp'), '-inf', now - 31 * DAY)
for _, scope in ipairs(call('ZREVRANGE', K('scp'), 0, 999)) do
  for _, kind in ipairs({'rpm', 'rpd', 'tpm', 'itpm', 'otpm'}) do
    local w = window_open(scope, kind)
    if not w.is_new then
      put(windows, scope, kind, string.format('%.0f', w.used + w.held))
    end
  end
  call('ZREMRANGEBYSCORE', K('cs:' .. scope), '-inf', now)
  local first = call('ZRANGE', K('cs:' .. scope), 0, 0, 'WITHSCORES')
  if first[2] then
    put(slots, scope, call('ZCARD', K('cs:' .. scope)), first[2])
  end
end
for _, route in ipairs(call('ZRANGE', K('slow'), 0, 999)) do
  local rest = rest_of(route)
  if rest then
    put(rests, route, unpack(rest))
    local provider = route:match('^[^/]+')
    factors[route] = tonumber(rest[2])
    factors[provider] = math.min(factors[provider] or 1, factors[route])
  else
    call('ZREM', K('slow'), route)
  end
end

local function room_at(scope, kind, limit)
  local most = math.max(1, math.floor(limit * (factors[scope] or 1)))
  local w = window_open(scope, kind)
  local over = w.used + w.held + 1 - most
  return over > 0 and math.ceil(window_room_at(w, over)) or 0
end

for i = 1, #ARGV, 3 do
  local scope, kind, what = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if kind ~= 'budget' and kind ~= 'soft' then
    put(rooms, scope, kind, string.format('%.0f', room_at(scope, kind, tonumber(what))))
  else
    local b = fields(K('bud:' .. scope .. ':' .. what), 's', 'r', 'u')
    put(budgets, scope, what, b.s or '0', b.r or '0', b.u or '0')
  end
end
return {windows, slots, budgets, call('ZREVRANGE', K('scp'), 0, 999), rooms, rests}
