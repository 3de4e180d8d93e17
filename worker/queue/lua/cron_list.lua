-- cron_list: all schedules, or one.
-- ARGV: id, or "" for all
-- Reply: {{id, next tick or "", JSON, origin, last job, fired, passed}, ...}
-- Changes nothing.
local out = {}

local function add(id)
  local key = K('cron:' .. id)
  local s = fields(key, 'json', 'origin', 'last', 'count', 'passed')
  if s.json then
    out[#out + 1] = {id, call('ZSCORE', K('cron'), id) or '', s.json, s.origin or '', s.last or '',
      s.count or '0', s.passed or '0'}
  end
end

if ARGV[1] ~= '' then
  add(ARGV[1])
else
  for _, id in ipairs(call('SMEMBERS', K('crons'))) do
    add(id)
  end
end
return out
