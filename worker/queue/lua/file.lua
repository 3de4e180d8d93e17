-- file: entries of the door become jobs.
-- ARGV: how many jobs the worker could run at once, result TTL ms, longest body,
--       then for each entry: its stream id, tenant, lane, route, item, code, result;
--       with code '' it is a job, else it ends dead with that code and result.
-- Reply: how many jobs became ready.
-- Sent twice: the entries are gone, nothing happens. Several workers may file the same entry.
-- With: groups ends
local room, ttl_ms, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local ready = 0

local function entry_fields(stream_id)
  local entry = call('XRANGE', K('in'), stream_id, stream_id)[1]
  if not entry then
    return nil
  end
  local h = {}
  for i = 1, #entry[2], 2 do
    h[entry[2][i]] = entry[2][i + 1]
  end
  return h
end

-- The same id again: no second run. The first result is answered, now or when it is there.
local function is_known(id, h)
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

local function create(id, h, e, state)
  local jk = K('j:' .. id)
  local j = {state = '', lane = e.lane, route = e.route, tenant = e.tenant, batch = h.batch, item = e.item,
    reply = h.reply_to, dedup = h.dedup}
  j.seq = call('INCR', K('seq'))
  call('HSET', jk, 'state', state, 'lane', j.lane, 'route', j.route, 'tenant', j.tenant, 'seq', j.seq,
    'fence', 0, 'filed', now, 'max', h.max or 10)
  for name, value in pairs({reply = h.reply_to, dedup = h.dedup, batch = h.batch, item = e.item}) do
    if value ~= '' then
      call('HSET', jk, name, value)
    end
  end
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
  count('filed')
end

local function file(id, h, e)
  if e.code ~= '' then
    local j = create(id, h, e, 'dead')
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
  local j = create(id, h, e, 'ready')
  count('filed')
  local score = e.item ~= '' and number(call('HGET', K('pz:' .. e.item), 'score')) or 0
  if score >= ITEM_LIMIT then
    local why = 'item \'' .. e.item .. '\' failed too often in 24 h; see `flow-worker jobs show`'
    return finish_job(id, j, 'quarantined', plain_result(id, 'quarantined', 'STALLED', why), '', 'STALLED', ttl_ms)
  end
  if number(h.run_at) > now then
    return delay(id, j, 'delayed', h.run_at)
  end
  make_ready(id, j)
  ready = ready + 1
end

for i = 4, #ARGV, 7 do
  local e = {tenant = ARGV[i + 1], lane = ARGV[i + 2], route = ARGV[i + 3], item = ARGV[i + 4],
    code = ARGV[i + 5], result = ARGV[i + 6]}
  local h = entry_fields(ARGV[i])
  if h then
    local id = (h.id or '') ~= '' and h.id or ARGV[i]
    if not is_known(id, h) then
      file(id, h, e)
    end
    call('XDEL', K('in'), ARGV[i])
  end
end
if ready > room then
  call('PUBLISH', K('ctl'), 'work')
end
return ready
