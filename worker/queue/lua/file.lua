-- file: entries of the door become jobs.
-- ARGV: how many jobs the worker could run at once, result TTL ms, longest body,
--       then for each entry: its stream id, tenant, lane, route, item, code, result;
--       with code '' it is a job, else it ends dead with that code and result.
-- Reply: how many jobs became ready.
-- Sent twice: the entries are gone, nothing happens. Several workers may file the same entry.
-- With: groups ends
local room, ttl_ms, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local FIRST, EACH = 4, 7
local given = (#ARGV - FIRST + 1) / EACH
local filed, ready, seq = 0, 0, nil
local entries, ids_of, groups = {}, {}, {} -- by stream id; of a group seq, id, ...; their names

-- All at once: they lie together, but for those that another worker was given.
local function read_entries()
  for _, entry in ipairs(call('XRANGE', K('in'), ARGV[FIRST], ARGV[#ARGV - EACH + 1], 'COUNT', 2 * given)) do
    entries[entry[1]] = entry
  end
end

local function entry_fields(stream_id)
  local entry = entries[stream_id] or call('XRANGE', K('in'), stream_id, stream_id)[1]
  if not entry then
    return nil
  end
  local h = {}
  for i = 1, #entry[2], 2 do
    h[entry[2][i]] = entry[2][i + 1]
  end
  return h
end

local function next_seq()
  seq = seq and seq + 1 or call('INCRBY', K('seq'), given) - given + 1
  return whole(seq)
end

-- The same id again: no second run. The first result is answered, now or when it is there.
local function is_known(id, h)
  if call('EXISTS', K('res:' .. id), K('j:' .. id)) == 0 then
    return false
  end
  local result = call('GET', K('res:' .. id))
  if result then
    answer(h.reply_to, id, result:match('"status":"(.-)"') or 'done')
    return true
  end
  local j = fields(K('j:' .. id), 'state', 'reply')
  if not j.state then
    return false
  end
  local reply = h.reply_to or ''
  if j.state == 'dead' or j.state == 'quarantined' then
    answer(reply, id, j.state)
  elseif reply ~= '' and not ('\n' .. (j.reply or '') .. '\n'):find('\n' .. reply .. '\n', 1, true) then
    call('HSET', K('j:' .. id), 'reply', j.reply and j.reply .. '\n' .. reply or reply)
  end
  return true
end

-- Who holds the dedup key and is alive, or nil after taking it.
local function dedup_holder(id, h)
  local key = K('dd:' .. h.dedup)
  local holder = call('GET', key)
  if holder and call('EXISTS', K('j:' .. holder)) == 1 then
    return holder
  end
  call('SET', key, id, 'PX', number(h.dedup_ttl) > 0 and h.dedup_ttl or DAY)
  return nil
end

local function is_duplicate_of(first, id, h)
  local status = 'duplicate of ' .. first
  call('SET', K('res:' .. id), cjson.encode({id = id, status = status}), 'PX', ttl_ms)
  answer(h.reply_to, id, status)
  event('duplicate', id, first)
  count('duplicate')
end

-- When it came to the door, which may be long ago: no worker was alive.
local function came_at(stream_id)
  local text = stream_id:match('^%d+')
  local ms = tonumber(text)
  return ms <= now and ms > now - 30 * DAY and text or now_text
end

local function create(id, h, e, state)
  local j = {state = state, lane = e.lane, route = e.route, tenant = e.tenant, seq = next_seq(),
    batch = h.batch, reply = h.reply_to, dedup = h.dedup, item = e.item ~= '' and e.item or nil}
  local set = {'state', state, 'lane', j.lane, 'route', j.route, 'tenant', j.tenant, 'seq', j.seq, 'fence', '0', 'filed', e.came}
  local function put(name, value)
    if value and value ~= '' then
      set[#set + 1] = name
      set[#set + 1] = value
    end
  end
  put('max', h.max)
  put('batch', j.batch)
  put('reply', j.reply)
  put('dedup', j.dedup)
  put('item', j.item)
  call('HSET', K('j:' .. id), unpack(set))
  if #(h.body or '') <= longest then
    call('SET', K('b:' .. id), h.body or '')
  end
  return j
end

-- The newest of several jobs with one dedup key takes the place of the one that has not begun yet.
local function replace_waiting(holder, id, h, e)
  local j = fields(K('j:' .. holder), 'fence', 'state')
  if j.fence == '0' and j.state ~= 'active' then
    call('SET', K('b:' .. holder), h.body or '')
    return is_duplicate_of(holder, id, h)
  end
  local heir = call('GET', K('nx:' .. h.dedup))
  if heir and call('HGET', K('j:' .. heir), 'state') == 'next' then
    call('SET', K('b:' .. heir), h.body or '')
    return is_duplicate_of(heir, id, h)
  end
  local new = create(id, h, e, 'next')
  count_batch(new.batch, '', 'next')
  call('SET', K('nx:' .. h.dedup), id)
  call('ZADD', K('nxs'), now_text, id)
  filed = filed + 1
end

local function wait_in_group(id, j)
  local group = group_of(j)
  local ids = ids_of[group]
  if not ids then
    ids = {}
    ids_of[group] = ids
    groups[#groups + 1] = group
  end
  ids[#ids + 1] = j.seq
  ids[#ids + 1] = id
  ready = ready + 1
end

local function file(id, h, e)
  if e.code ~= '' then
    local j = create(id, h, e, 'dead')
    j.state = ''
    return finish_job(id, j, 'dead', e.result, '', e.code, ttl_ms)
  end
  if (h.dedup or '') ~= '' then
    local holder = dedup_holder(id, h)
    if holder and h.dedup_mode == 'latest' then
      return replace_waiting(holder, id, h, e)
    elseif holder then
      return is_duplicate_of(holder, id, h)
    end
  end
  local is_early = number(h.run_at) > now
  local j = create(id, h, e, is_early and 'delayed' or 'ready')
  filed = filed + 1
  local score = e.item ~= '' and number(call('HGET', K('pz:' .. e.item), 'score')) or 0
  if score >= ITEM_LIMIT then
    local why = 'item \'' .. e.item .. '\' failed too often in 24 h; see `flow-worker jobs show`'
    j.state = ''
    return finish_job(id, j, 'quarantined', plain_result(id, 'quarantined', 'STALLED', why), '', 'STALLED', ttl_ms)
  end
  count_batch(j.batch, '', j.state)
  if is_early then
    call('ZADD', K('dly'), h.run_at, id)
  else
    wait_in_group(id, j)
  end
end

read_entries()
local gone = {}
for i = FIRST, #ARGV, EACH do
  local h = entry_fields(ARGV[i])
  if h then
    local id = (h.id or '') ~= '' and h.id or ARGV[i]
    if not is_known(id, h) then
      file(id, h, {tenant = ARGV[i + 1], lane = ARGV[i + 2], route = ARGV[i + 3], item = ARGV[i + 4],
        code = ARGV[i + 5], result = ARGV[i + 6], came = came_at(ARGV[i])})
    end
    gone[#gone + 1] = ARGV[i]
  end
end
for _, group in ipairs(groups) do
  call('ZADD', K('q:' .. group), unpack(ids_of[group]))
  offer_group(group)
end
if filed > 0 then
  count('filed', filed)
end
if gone[1] then
  call('XDEL', K('in'), unpack(gone))
end
if ready > room then
  call('PUBLISH', K('ctl'), 'work')
end
return ready
