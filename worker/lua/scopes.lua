-- scopes: how full every scope is, for people.
-- ARGV: pairs of scope and budget period to look at
-- Reply: {windows, slots, budgets}: windows as {scope, kind, used, ...}, slots as {scope, used, end of the first ms, ...},
--        budgets as {scope, period, spent, reserved, unconfirmed, ...}; then rules of live workers' digests
-- Forgets what has left a window; sent twice: the same.
local windows, slots, budgets = {}, {}, {}

local function put(list, ...)
  for _, value in ipairs({...}) do
    list[#list + 1] = value
  end
end

call('ZREMRANGEBYSCORE', K('scp'), '-inf', now - 31 * DAY)
for _, scope in ipairs(call('ZREVRANGE', K('scp'), 0, 999)) do
  for kind in pairs(WINDOWS) do
    if call('EXISTS', window_key(scope, kind)) == 1 then
      put(windows, scope, kind, string.format('%.0f', window_used(scope, kind)))
    end
  end
  call('ZREMRANGEBYSCORE', K('cs:' .. scope), '-inf', now)
  local first = call('ZRANGE', K('cs:' .. scope), 0, 0, 'WITHSCORES')
  if first[2] then
    put(slots, scope, call('ZCARD', K('cs:' .. scope)), first[2])
  end
end
for i = 1, #ARGV, 2 do
  local b = fields(K('bud:' .. ARGV[i] .. ':' .. ARGV[i + 1]), 's', 'r', 'u')
  put(budgets, ARGV[i], ARGV[i + 1], b.s or '0', b.r or '0', b.u or '0')
end
return {windows, slots, budgets, call('ZREVRANGE', K('scp'), 0, 999)}
