-- routes.lua: how a route is, for people.

-- {until ms, factor, why} of one that rests, is slowed down or is not asked at all; nil: it is well.
local function rest_of(route)
  local r = fields(K('rl:' .. route), 'until', 'f', 'open', 'dry')
  if r.dry or r.f or number(r['until']) > now then
    return {r['until'] or '0', r.f or '1', r.dry and 'credit ' .. r.dry or r.open and 'circuit' or ''}
  end
end
