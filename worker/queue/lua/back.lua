-- back: Directus answers again: those who wait for it go on, each group with one job, two, four, ... at once.
-- Reply: how many groups that are.
-- Sent twice: 0. Reads as many groups as is soon done; the others look for themselves within seconds.
-- With: groups
local GROUPS_AT_ONCE, woken = 1000, 0
if call('HEXISTS', K('rl:directus'), 'open') == 0 then
  return 0
end
call('DEL', K('rl:directus'))
call('ZREM', K('slow'), 'directus')
for _, group in ipairs(call('SPOP', K('wt:directus'), GROUPS_AT_ONCE)) do
  if call('ZREM', K('thr'), group) == 1 and call('EXISTS', K('q:' .. group)) == 1 then
    offer_group(group)
    woken = woken + 1
  end
end
event('directus back', '', woken)
call('PUBLISH', K('ctl'), 'work')
return woken
