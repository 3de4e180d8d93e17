-- report: how the queue is, for people.
-- ARGV: minutes to sum up, days of costs
-- Reply: counts as name, number, ...; workers as name, heartbeat, ...; counters since ever and of the last
--        minutes as name, number, ...; what is paused as name, '1', ...; costs as day, {name, number, ...}, ...;
--        resting routes as route, until ms, factor, why ('', circuit, or credit and what the provider calls it), ...;
--        waiting jobs by lane as lane, number, ...; by tenant as tenant, number, ... (the 20 with most);
--        groups that a limit lets sleep as route, lane, tenant, number of jobs, until ms, ... (the 20 that wake first)
-- Reads only.
-- With: routes pauses
local minutes, days = tonumber(ARGV[1]), tonumber(ARGV[2])

local function waiting()
  local jobs, limited, paused, parked, groups, oldest, lanes, tenants, sleeping = 0, 0, 0, 0, 0, now, {}, {}, {}
  local marks = read_pauses()
  for _, name in ipairs({'rdy', 'thr'}) do
    local list = call('ZRANGE', K(name), 0, 9999, 'WITHSCORES')
    for i = 1, #list, 2 do
      local group, until_ms = list[i], tonumber(list[i + 1])
      local route, lane, tenant = group:match('^([^|]*)|([^|]*)|(.*)$')
      local count = call('ZCARD', K('q:' .. group))
      groups = groups + 1
      if pause_of(marks, route, tenant) then
        paused = paused + count
      elseif name == 'thr' and until_ms > now then
        limited = limited + count
        if #sleeping < 100 then
          for _, word in ipairs({route, lane, tenant, count, until_ms}) do
            sleeping[#sleeping + 1] = word
          end
        end
      else
        jobs = jobs + count
      end
      lanes[lane] = (lanes[lane] or 0) + count
      tenants[tenant] = (tenants[tenant] or 0) + count
      local first = minutes > 0 and call('ZRANGE', K('q:' .. group), 0, 0)[1]
      if first then
        oldest = math.min(oldest, tonumber(call('HGET', K('j:' .. first), 'filed') or now))
      end
    end
  end
  for mark in pairs(marks) do -- who came by another route: permit.lua
    parked = parked + #call('SMEMBERS', K('qw:' .. mark))
  end
  return jobs, limited, paused, parked, groups, now - oldest, lanes, tenants, sleeping
end

-- The names with the largest numbers, as name, number, ...
local function largest(numbers, at_most)
  local names, flat = {}, {}
  for name, n in pairs(numbers) do
    if n > 0 then
      names[#names + 1] = name
    end
  end
  table.sort(names, function(a, b) return numbers[a] > numbers[b] or numbers[a] == numbers[b] and a < b end)
  for i = 1, math.min(#names, at_most) do
    flat[#flat + 1] = names[i]
    flat[#flat + 1] = numbers[names[i]]
  end
  return flat
end

local function recent_counters()
  local before, flat, this = {}, {}, math.floor(now / 60000)
  for minute = this - minutes, this do -- the oldest that is there: no worker may have been alive
    local h = call('HGETALL', K('m:' .. minute))
    for i = 1, #h, 2 do
      before[h[i]] = tonumber(h[i + 1])
    end
    if #h > 0 then
      break
    end
  end
  local h = call('HGETALL', K('n'))
  for i = 1, #h, 2 do
    flat[#flat + 1] = h[i]
    flat[#flat + 1] = tonumber(h[i + 1]) - (before[h[i]] or 0)
  end
  return flat
end

local function resting()
  local flat = {}
  for _, route in ipairs(call('ZRANGE', K('slow'), 0, 999)) do
    local rest = rest_of(route)
    if rest then
      flat[#flat + 1] = route
      for _, what in ipairs(rest) do
        flat[#flat + 1] = what
      end
    end
  end
  return flat
end

-- By route calls, in, cached, out, nano, hits, misses, saved; by flow calls and nano: as <what>|<name>, number, ...
local NAMES = {'calls', 'in', 'cached', 'out', 'nano', 'hits', 'misses', 'saved'}
local function used_on(day)
  local flat, sums, packed = {}, {}, call('HGETALL', K('use:' .. day))
  local function add(name, more)
    sums[name] = (sums[name] or 0) + more
  end
  for i = 1, #packed, 2 do
    local flow, route = packed[i]:match('^(.-)|(.*)$')
    for k, more in ipairs({cmsgpack.unpack(packed[i + 1])}) do
      add(route .. '|' .. NAMES[k], more)
      if flow ~= '' and (NAMES[k] == 'calls' or NAMES[k] == 'nano') then
        add('flow:' .. flow .. '|' .. NAMES[k], more)
      end
    end
  end
  for name, sum in pairs(sums) do
    if sum > 0 then
      flat[#flat + 1] = name
      flat[#flat + 1] = string.format('%.0f', sum)
    end
  end
  return flat
end

local workers, costs = {}, {}
for _, worker in ipairs(call('ZRANGE', K('wrk'), 0, -1)) do
  local state = call('HGET', K('w:' .. worker), 'state')
  if state then
    workers[#workers + 1] = worker
    workers[#workers + 1] = state
  end
end
for day = math.floor(now / DAY) - days + 1, math.floor(now / DAY) do
  costs[#costs + 1] = day
  costs[#costs + 1] = used_on(day)
end
local jobs, limited, paused, parked, groups, oldest_ms, lanes, tenants, sleeping = waiting()
local oldest = call('XRANGE', K('in'), '-', '+', 'COUNT', 1)[1]
local counts = {'door', call('XLEN', K('in')), 'ready', jobs, 'limited', limited, 'paused', paused + parked, 'groups', groups, 'oldestMs', oldest_ms, 'next', call('ZCARD', K('nxs')), 'later', math.max(0, call('ZCARD', K('dly')) - parked),
  'active', call('ZCARD', K('lse')), 'dead', call('ZCARD', K('dead')), 'deadBytes', number(call('GET', K('kept')) or nil), 'deadSeen', call('ZCARD', K('seen')), 'quarantined', call('ZCARD', K('quar')),
  'calls', call('ZCARD', K('px')), 'doorAgeMs', oldest and now - tonumber(oldest[1]:match('^%d+')) or 0}
return {counts, workers, call('HGETALL', K('n')), recent_counters(), call('HGETALL', K('cfg')), costs, resting(), largest(lanes, 3),
  largest(tenants, 20), sleeping}
