-- ends.lua: how a job ends.

-- Tells all who asked for it what became of a job. The streams are others' keys: one of a wrong type
-- must not stop us.
local function answer(reply, id, status)
  for stream in (reply or ''):gmatch('[^\n]+') do
    redis.pcall('XADD', stream, 'MAXLEN', '~', '10000', '*', 'id', id, 'status', status)
  end
end

-- The dedup key of a job that has ended goes to the one that waits behind it, if any.
local function release_dedup(id, key)
  if not key or key == '' then
    return
  end
  local holder = call('GET', K('dd:' .. key))
  if holder and holder ~= id then
    return
  end
  call('DEL', K('dd:' .. key))
  local heir = call('GET', K('nx:' .. key))
  if not heir then
    return
  end
  call('DEL', K('nx:' .. key))
  call('ZREM', K('nxs'), heir)
  local j = fields(K('j:' .. heir), 'state', 'lane', 'route', 'tenant', 'seq', 'batch')
  if j.state == 'next' then
    call('SET', K('dd:' .. key), heir, 'PX', DAY)
    make_ready(heir, j)
    call('PUBLISH', K('ctl'), 'work')
  end
end

-- Failures that say something about the item, not about the set-up or the weather.
local function is_item_fault(code)
  return (' CONTEXT_LENGTH_EXCEEDED REQUEST_TOO_LARGE CONTENT_FILTERED OUTPUT_TRUNCATED INVALID_RESPONSE TEMPLATE_UNRESOLVED '
    .. 'ATTACHMENT_UNSUPPORTED ATTACHMENT_TOO_LARGE INVALID_OUTPUT '):find(' ' .. code .. ' ', 1, true) ~= nil
end

local CRASH_WEIGHT, ITEM_LIMIT = 3, 5

local function blame_item(item, weight, why)
  if item and item ~= '' then
    local key = K('pz:' .. item)
    call('HINCRBY', key, 'score', weight)
    call('HSET', key, 'last', why, 'at', now)
    call('PEXPIRE', key, DAY)
  end
end

-- What finish_job() and those who put a job back want to know of it.
local function job_to_end(id)
  return fields(K('j:' .. id), 'state', 'lane', 'route', 'tenant', 'seq', 'batch', 'reply', 'dedup', 'item', 'fence', 'owner',
    'losses', 'max', 'permit', 'call_end', 'cancel')
end

-- Forgets what became of an item of a batch, as if it had not ended.
local function forget_item(batch, item)
  local old = call('HGET', K('bi:' .. batch), item)
  if old then
    call('HINCRBY', K('bat:' .. batch), 'n:' .. cjson.decode(old)[1], -1)
    call('HDEL', K('bi:' .. batch), item)
  end
end

-- What became of an item of a batch. more: {"ms","tokens","message","skipped","flow","item","hash"} as JSON.
local function record_item(id, batch, status, code, more)
  local QUESTIONS_KEPT = 90 * DAY
  if id:sub(1, #batch + 1) ~= batch .. '#' or call('EXISTS', K('bat:' .. batch)) == 0 then
    return
  end
  local is_json, m = pcall(cjson.decode, more or '')
  m = is_json and m or {}
  local item = id:sub(#batch + 2)
  local what = m.skipped and 'skipped' or code == 'CONFLICT' and 'conflict'
    or (status == 'dead' or status == 'quarantined') and 'failed' or status
  forget_item(batch, item)
  call('HINCRBY', K('bat:' .. batch), 'n:' .. what, 1)
  call('HSET', K('bi:' .. batch), item, cjson.encode({what, code or '', number(call('HGET', K('j:' .. id), 'nano') or nil),
    m.ms or 0, m.tokens or 0, m.message or ''}))
  if m.hash and status == 'done' then
    call('HSET', K('bh:' .. m.flow), m.item, m.hash)
    call('PEXPIRE', K('bh:' .. m.flow), QUESTIONS_KEPT)
  end
end

-- It is kept until a person decides; that takes its body, and what is stored with it.
local function bury(id, status, code)
  local jk, sk = K('j:' .. id), K('s:' .. id)
  call('HSET', jk, 'state', status, 'code', code, 'ended', now)
  call('HDEL', jk, 'permit', 'call_end', 'owner', 'cancel')
  local bytes = call('STRLEN', K('b:' .. id))
  for _, name in ipairs(call('HKEYS', sk)) do
    bytes = bytes + #name + call('HSTRLEN', sk, name)
  end
  call('ZADD', K(status == 'dead' and 'dead' or 'quar'), now, id)
  call('HSET', jk, 'bytes', bytes)
  call('INCRBY', K('kept'), bytes)
end

-- A job has ended: one of done, dead, cancelled, quarantined. What is needed to run it again stays
-- with the dead and the quarantined.
local function finish_job(id, j, status, result, log, code, ttl_ms, log_ttl_ms, item)
  if j.state == 'active' then
    call('ZREM', K('lse'), id .. LONG)
  else
    call('ZREM', K('dly'), id)
  end
  call('SET', K('res:' .. id), result, 'PX', ttl_ms)
  if log ~= '' then
    call('SET', K('log:' .. id), log, 'PX', log_ttl_ms or ttl_ms)
  end
  if (j.batch or '') ~= '' then
    count_batch(j.batch, j.state, status)
    record_item(id, j.batch, status, code, item)
  end
  if status == 'dead' or status == 'quarantined' then
    bury(id, status, code)
  else
    call('DEL', K('j:' .. id), K('b:' .. id), K('s:' .. id))
  end
  if status == 'done' and j.item then
    call('DEL', K('pz:' .. j.item))
  elseif code ~= '' and is_item_fault(code) then
    blame_item(j.item, 1, code)
  end
  if (j.item or '') ~= '' then -- by which erase.lua finds it
    call('ZADD', K('itm'), now + math.max(ttl_ms, log_ttl_ms or 0), 'job\n' .. j.item .. '\n' .. id)
  end
  if j.dedup then
    release_dedup(id, j.dedup)
  end
  if j.reply then
    answer(j.reply, id, status)
  end
  if status ~= 'done' then -- that all went well is told by the result
    event(status, id, code)
  end
  count(status)
end

-- A result that is made here, because no worker runs the job.
local function plain_result(id, status, code, message)
  return cjson.encode({id = id, status = status, error = {name = 'Error', code = code, message = message}})
end
