-- erase: what the queue holds for an item goes. Jobs that wait are cancelled, those that run are told to stop.
-- ARGV: item as <collection>:<key>, or with its flow as <flow>:<collection>:<key>; only look 0|1; where to go on ('' at
--       first); result TTL ms
-- Reply: {where to go on with the next call, or '' after the last, what was found as kind, name, ...}
--   waiting, running, dead   jobs, by id: quarantined ones are dead here
--   ended                    result and steps of a job, by its id
--   cached                   an answer in the cache, by its digest
--   replaced                 an old value that a batch keeps for `batch revert`, by batch
--   told                     what a batch says of the item, by batch: the text of an error goes, the line stays
-- Sent twice: finds what is left. The first call looks at all jobs there are, the others at 5,000 that have ended each.
-- With: groups graves ends cancels
local item, only_look, cursor, ttl_ms = ARGV[1], ARGV[2] == '1', ARGV[3], ARGV[4]
local AT_ONCE, tail, found = 5000, ':' .. ARGV[1], {}

local function is_it(text)
  return text == item or text:sub(-#tail) == tail
end

local function note(kind, name)
  found[#found + 1] = kind
  found[#found + 1] = name
  if not only_look then
    count('erased')
  end
end

-- ---- jobs ----

local function forget_result(id, of)
  call('DEL', K('res:' .. id), K('log:' .. id))
  call('ZREM', K('itm'), 'job\n' .. of .. '\n' .. id)
end

local function erase_job(id, of, state)
  local is_dead = state == 'dead' or state == 'quarantined'
  note(is_dead and 'dead' or state == 'active' and 'running' or 'waiting', id)
  if only_look then
    return
  end
  if is_dead then
    forget_dead(id)
  else
    cancel_job(id, ttl_ms)
  end
  call('DEL', K('pz:' .. of))
  if state ~= 'active' then
    forget_result(id, of)
    event('purged', id)
  end
end

local function look_at_jobs(key)
  for _, member in ipairs(call('ZRANGE', key, 0, -1)) do
    local id = short(member)
    local j = fields(K('j:' .. id), 'item', 'state')
    if j.item and is_it(j.item) then
      erase_job(id, j.item, j.state)
    end
  end
end

local function look_at_all_jobs()
  for _, name in ipairs({'rdy', 'thr'}) do
    for _, group in ipairs(call('ZRANGE', K(name), 0, -1)) do
      look_at_jobs(K('q:' .. group))
    end
  end
  for _, name in ipairs({'dly', 'nxs', 'lse', 'dead', 'quar'}) do
    look_at_jobs(K(name))
  end
end

-- ---- batches ----

local function look_at_kept_values(batch, collection, key)
  for _, name in ipairs(call('HKEYS', K('bu:' .. batch))) do
    local is_json, of = pcall(cjson.decode, name)
    if is_json and of[1] == collection and of[2] == key then
      note('replaced', batch)
      if not only_look then
        call('HDEL', K('bu:' .. batch), name)
      end
    end
  end
end

local function look_at_line(batch, key)
  local line = call('HGET', K('bi:' .. batch), key)
  local parts = line and cjson.decode(line)
  if not parts or parts[6] == '' then
    return
  end
  note('told', batch)
  if not only_look then
    parts[6] = ''
    call('HSET', K('bi:' .. batch), key, cjson.encode(parts))
  end
end

local function look_at_batches()
  local collection, key = item:match('^([^:]*):(.*)$')
  for _, batch in ipairs(key and call('ZRANGE', K('bats'), 0, -1) or {}) do
    look_at_kept_values(batch, collection, key)
    if call('HGET', K('bat:' .. batch), 'collection') == collection then
      look_at_line(batch, key)
    end
  end
end

-- ---- what has ended ----

local function look_at_ended(member)
  local kind, of, name = member:match('^(%a+)\n([^\n]*)\n(.*)$')
  if not kind or not is_it(of) then
    return 0
  end
  if kind == 'job' and call('EXISTS', K('j:' .. name)) == 1 then
    return 0 -- it was looked at as a job
  end
  local keys = kind == 'job' and {K('res:' .. name), K('log:' .. name)} or {K('ca:' .. name)}
  if call('EXISTS', unpack(keys)) > 0 then
    note(kind == 'job' and 'ended' or 'cached', name)
  end
  if only_look then
    return 0
  end
  call('DEL', unpack(keys))
  call('DEL', K('pz:' .. of))
  return call('ZREM', K('itm'), member)
end

if cursor == '' then
  look_at_all_jobs()
  look_at_batches()
  cursor = 0
end
local members, gone = call('ZRANGE', K('itm'), cursor, cursor + AT_ONCE - 1), 0
for _, member in ipairs(members) do
  gone = gone + look_at_ended(member)
end
return {#members == AT_ONCE and string.format('%.0f', cursor + AT_ONCE - gone) or '', found}
