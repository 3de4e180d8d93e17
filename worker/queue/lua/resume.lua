-- resume: somebody says that what was paused goes on.
-- ARGV: what was paused: '' all, or route:<provider/model>, route:<provider>, tenant:<name>
-- Reply: {how many routes go on that had stopped by themselves, what is still paused, ...}
-- Sent twice: the same, with 0.
--
-- A route that is named, or for '' each one that has no credit left, is asked again at once: its rest, its open
-- circuit and its missing credit are forgotten, and it begins with one job, two, four, ...
-- With: groups
local what = ARGV[1]
local named = what:match('^route:(.*)$')
local woken, still = 0, {}

local function is_of(route, wanted)
  return route == wanted or route:match('^[^/]+') == wanted
end

local function wake_groups(wanted)
  for _, group in ipairs(call('ZRANGE', K('thr'), 0, -1)) do
    if is_of(group:match('^[^|]*'), wanted) then
      call('ZADD', K('thr'), now, group)
    end
  end
end

local function wake_jobs(waited_for)
  for _, id in ipairs(call('SMEMBERS', K('qw:' .. waited_for))) do
    local j = fields(K('j:' .. id), 'state', 'lane', 'route', 'tenant', 'seq', 'batch')
    if j.state == 'parked' and call('ZREM', K('dly'), id) == 1 then
      make_ready(id, j)
    end
  end
  call('DEL', K('qw:' .. waited_for))
end

local function try_again(route)
  local r = fields(K('rl:' .. route), 'until', 'dry')
  if number(r['until']) > now or r.dry then
    call('HDEL', K('rl:' .. route), 'until', 'open', 'probe', 'probe_end', 'dry', 'dry_at')
    woken = woken + 1
  end
  wake_groups(route)
  wake_jobs(route)
end

local mark = what == '' and 'paused' or 'paused:' .. what
call('HDEL', K('cfg'), mark)
wake_jobs(mark)
for _, route in ipairs(call('ZRANGE', K('slow'), 0, -1)) do
  if named and is_of(route, named) or what == '' and call('HEXISTS', K('rl:' .. route), 'dry') == 1 then
    try_again(route)
  end
end
if named then
  wake_groups(named)
end
local cfg = call('HGETALL', K('cfg'))
for i = 1, #cfg, 2 do
  if cfg[i]:sub(1, 6) == 'paused' then
    still[#still + 1] = cfg[i]
  end
end
call('PUBLISH', K('ctl'), 'work')
return {woken, unpack(still)}
