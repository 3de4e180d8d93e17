-- groups.lua: jobs in their states, and the groups in which they wait.
local JOB_TOKENS = 100 -- what a job counts before it is known what it uses, and one that calls nobody

local function weight_of(lane)
  return lane == '0' and 100 or lane == '2' and 1 or 10
end

local function group_of(j)
  return j.route .. '|' .. j.lane .. '|' .. j.tenant
end

-- A job of a batch goes from one state to another; '' is "not there".
local function count_batch(batch, from, to)
  if not batch or batch == '' or from == to then
    return
  end
  local key = K('bt:' .. batch)
  if from ~= '' then
    call('HINCRBY', key, from, -1)
  end
  if to ~= '' then
    call('HINCRBY', key, to, 1)
  end
  call('PEXPIRE', key, 30 * DAY)
end

local function set_state(id, j, to)
  count_batch(j.batch, j.state or '', to)
  call('HSET', K('j:' .. id), 'state', to)
  j.state = to
end

-- A group becomes one of those that may give jobs, unless it sleeps or is one already.
local function offer_group(group)
  if call('ZSCORE', K('thr'), group) or call('ZSCORE', K('rdy'), group) then
    return
  end
  local start = math.max(number(call('GET', K('vt'))), number(call('ZSCORE', K('fin'), group)))
  call('ZADD', K('rdy'), start, group)
end

-- A group gives nothing until then, and after that one job, two, four, ... at once.
local function block_group(group, until_ms)
  local v = call('ZSCORE', K('rdy'), group)
  if v then
    call('ZREM', K('rdy'), group)
    call('ZADD', K('fin'), v, group)
  end
  call('ZADD', K('thr'), until_ms, group)
  call('HSET', K('rmp'), group, 1)
end

local function make_ready(id, j)
  set_state(id, j, 'ready')
  local group = group_of(j)
  call('ZADD', K('q:' .. group), j.seq, id)
  offer_group(group)
end

local function delay(id, j, state, due_ms)
  set_state(id, j, state)
  call('ZADD', K('dly'), due_ms, id)
end
