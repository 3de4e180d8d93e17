-- pauses.lua: what a person has paused.

local function read_pauses()
  local marks, cfg = {}, call('HGETALL', K('cfg'))
  for i = 1, #cfg, 2 do
    marks[cfg[i]] = cfg[i + 1] == '1'
  end
  return marks
end

-- What holds back the jobs of a group: 'paused', 'paused:tenant:<name>', 'paused:route:<route or provider>', or nil.
local function pause_of(marks, route, tenant)
  for _, mark in ipairs({'paused', 'paused:tenant:' .. tenant, 'paused:route:' .. route,
    'paused:route:' .. (route:match('^[^/]+') or '')}) do
    if marks[mark] then
      return mark
    end
  end
end
