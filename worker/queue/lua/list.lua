-- list: jobs for people.
-- ARGV: state ('' all), item, code, batch, tenant (each '' any), how many at most
-- Reply: {how many were looked at, {id, state, lane, route, tenant, code, losses, max, filed ms, due or
--        end ms (of a ready one: until when a limit lets it wait), batch, item, owner, nano-dollars, what is
--        paused that it waits for or ''}, ...}
-- With: pauses
-- Reads only. Looks at no more than 20,000 jobs; the newest dead and quarantined come first.
local state, item, code, batch, tenant, at_most = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local LOOK_AT = 20000
local rows, looked, marks = {}, 0, read_pauses()
local STATES_HELD = {ready = true, delayed = true, parked = true}

-- A step further on may need another route than the first: permit.lua.
local waits_by_name = {}
for mark in pairs(marks) do
  for _, id in ipairs(call('SMEMBERS', K('qw:' .. mark))) do
    waits_by_name[id] = mark
  end
end

local function waits_for(id, j)
  local mark = STATES_HELD[j.state] and pause_of(marks, j.route or '', j.tenant or '')
  return mark or j.state == 'parked' and waits_by_name[id] or ''
end

local function matches(j)
  return j.state and (state == '' or j.state == state) and (item == '' or (j.item or ''):find(item, 1, true))
    and (code == '' or j.code == code) and (batch == '' or j.batch == batch) and (tenant == '' or j.tenant == tenant)
end

local function look(id, at_ms)
  looked = looked + 1
  local j = fields(K('j:' .. id), 'state', 'lane', 'route', 'tenant', 'code', 'losses', 'max', 'filed', 'batch', 'item',
    'owner', 'nano')
  if matches(j) then
    rows[#rows + 1] = {id, j.state, j.lane or '', j.route or '', j.tenant or '', j.code or '', j.losses or '0',
      j.max or '10', j.filed or '0', at_ms, j.batch or '', j.item or '', j.owner or '', j.nano or '0', waits_for(id, j)}
  end
end

-- at_ms: of all of them; nil: each has its own.
local function look_through(key, newest_first, at_ms)
  local ids = call(newest_first and 'ZREVRANGE' or 'ZRANGE', key, 0, LOOK_AT, 'WITHSCORES')
  for i = 1, #ids, 2 do
    if #rows >= at_most or looked >= LOOK_AT then
      return
    end
    look(short(ids[i]), at_ms or ids[i + 1])
  end
end

local STATES_OF = {
  lse = {active = true}, dly = {delayed = true, parked = true, ambiguous = true}, dead = {dead = true},
  quar = {quarantined = true}, nxs = {next = true},
}
for _, name in ipairs({'lse', 'quar', 'dead', 'dly', 'nxs'}) do
  if state == '' or STATES_OF[name][state] then
    look_through(K(name), name == 'quar' or name == 'dead')
  end
end
if state == '' or state == 'ready' then
  for _, groups in ipairs({'rdy', 'thr'}) do
    local list = call('ZRANGE', K(groups), 0, -1, 'WITHSCORES')
    for i = 1, #list, 2 do
      look_through(K('q:' .. list[i]), false, groups == 'thr' and list[i + 1] or '0')
    end
  end
end
return {looked, rows}
