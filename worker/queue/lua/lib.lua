-- lib.lua: what all scripts share; it is put in front of each of them.
--
-- KEYS[1] is the prefix; all other keys are made from it, so they live in one slot of a cluster. The
-- clock is the server's. Every script may be sent again after its reply was lost: the second time it
-- finds its work done and says so.
--
-- KEYS (behind the prefix)
--   in                 stream    the door
--   j:<id>             hash      state ready active delayed parked ambiguous next dead quarantined; lane
--                                route tenant seq fence owner losses max code cancel reply dedup filed
--                                batch item; permit, call_end: of the provider call under way; nano
--   b:<id>             string    the body
--   s:<id>             hash      what is stored for the job: step:<key>, note:<key>, and for calls
--                                call:<step>#<n> = <sent|lost|answered> <question> <end ms> <permit>,
--                                won:<step>#<question> = <n>, answer:<step>#<n>
--   q:<group>          zset      waiting ids by arrival; a group is <route>|<lane>|<tenant>
--   rdy, fin, vt       zset, zset, string   groups by virtual time; that of idle ones; the clock
--   thr, rmp           zset, hash   sleeping groups by time; how many jobs one that woke may give at once
--   dly, lse           zset      due times; ends of leases: the only truth about who runs
--   dead, quar         zset      by time
--   res:<id>, log:<id> string    the result, the steps, for a while
--   dd:<key>, nx:<key> string    who holds a dedup key; who comes after
--   pz:<item>          hash      how often an item crashed or failed
--   win:<scope>|<kind> hash      a sliding window: used per bucket, t = their sum, h = the first
--   cs:<scope>         zset      permits that hold a slot, by end; wt:<scope> set: groups waiting for one
--   bud:<scope>:<period> hash    s spent, r reserved, u unconfirmed; integers in nano-dollars
--   rl:<route>         hash      until: cool-down; f: factor; circuit breaker and retry budget
--   slow               zset      routes that were told to be slower, or do not work, by time
--   p:<permit>, px     hash, zset   what a call reserved; when its owner is taken for dead
--   ca:<digest>        string    an answer for the cache: when, what it cost, the text; cq: the permit that is asking
--                                for it now; cw: set of jobs that wait for that
--   cal:<route>|<step> hash      what past calls of a step show: n, sums s, the line they give, o<b>: answers by
--                                length; near: questions estimated within 5 %; over: answers above the expected length
--   scp                zset      scopes by last use
--   bt:<batch>         hash      jobs of a batch by state; nano, tokens
--   bat:<batch>        hash      a batch: state (listing running paused budget done cancelled), body of the job that
--                                made it, job that drives it, cursor, fed, gone, total, budget, n:<status>
--   bk:<batch>         list      what it runs for: keys, or rows of an input; as JSON
--   bi:<batch>         hash      what became of each item: [status, code, nano, ms, tokens, message]
--   bu:<batch>         hash      what its writes replaced, for `batch revert`
--   bh:<flow>          hash      the last question about an item, for `onlyChanged`
--   bats               zset      batches by time
--   cfg                hash      paused, paused:route:<r>, paused:tenant:<t>
--   n, m:<minute>      hash      counters since ever; what they were when the minute began
--   use:<day>          hash      calls, tokens and money by route and flow
--   ev, w:<worker>     stream, hash   events; heartbeat
--   v                  string    layout version; ctl  channel
local P = KEYS[1]
local call = redis.call
local clock = call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local WEIGHT = {['0'] = 100, ['1'] = 10, ['2'] = 1}
local JOB_TOKENS = 100 -- what a job counts before it is known what it uses, and one that calls nobody
local EVENTS_KEPT = 10000
local DAY = 86400000

local function K(name)
  return P .. name
end

-- The named fields of a hash as a table; missing ones are nil.
local function fields(key, ...)
  local names, got = {...}, {}
  local values = call('HMGET', key, ...)
  for i, name in ipairs(names) do
    got[name] = values[i] or nil
  end
  return got
end

local function group_of(j)
  return j.route .. '|' .. j.lane .. '|' .. j.tenant
end

local function number(text)
  return tonumber(text or '0') or 0
end

local function count(name, by)
  call('HINCRBY', K('n'), name, by or 1)
end

local function event(what, id, more)
  call('XADD', K('ev'), 'MAXLEN', '~', EVENTS_KEPT, '*', 'e', what, 'id', id, 'more', more or '')
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

-- Tells all who asked for it what became of a job. The streams are others' keys: one of a wrong type
-- must not stop us.
local function answer(reply, id, status)
  for stream in (reply or ''):gmatch('[^\n]+') do
    redis.pcall('XADD', stream, 'MAXLEN', '~', EVENTS_KEPT, '*', 'id', id, 'status', status)
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
  local j = fields(K('j:' .. heir), 'state', 'lane', 'route', 'tenant', 'seq', 'batch')
  if j.state == 'next' then
    call('SET', K('dd:' .. key), heir, 'PX', DAY)
    make_ready(heir, j)
    call('PUBLISH', K('ctl'), 'work')
  end
end

-- Failures that say something about the item, not about the set-up or the weather.
local ITEM_FAULTS = {
  CONTEXT_LENGTH_EXCEEDED = true, REQUEST_TOO_LARGE = true, CONTENT_FILTERED = true,
  OUTPUT_TRUNCATED = true, INVALID_RESPONSE = true, TEMPLATE_UNRESOLVED = true,
  ATTACHMENT_UNSUPPORTED = true, ATTACHMENT_TOO_LARGE = true, INVALID_OUTPUT = true,
}
local CRASH_WEIGHT, ITEM_LIMIT = 3, 5

local function blame_item(item, weight, why)
  if item and item ~= '' then
    local key = K('pz:' .. item)
    call('HINCRBY', key, 'score', weight)
    call('HSET', key, 'last', why, 'at', now)
    call('PEXPIRE', key, DAY)
  end
end

local ENDED_FIELDS = {'state', 'lane', 'route', 'tenant', 'seq', 'batch', 'reply', 'dedup', 'item', 'fence',
  'owner', 'losses', 'max', 'permit', 'call_end', 'cancel'}

local BATCH_KEPT, QUESTIONS_KEPT = 30 * DAY, 90 * DAY
local ITEM_STATUS = {done = 'done', dead = 'failed', quarantined = 'failed', cancelled = 'cancelled'}

-- Forgets what became of an item of a batch, as if it had not ended.
local function forget_item(batch, item)
  local old = call('HGET', K('bi:' .. batch), item)
  if old then
    call('HINCRBY', K('bat:' .. batch), 'n:' .. cjson.decode(old)[1], -1)
    call('HDEL', K('bi:' .. batch), item)
  end
end

-- What became of an item of a batch. more: {"ms","tokens","message","skipped","flow","item","hash"} as JSON.
local function record_item(id, j, status, code, more)
  local batch = j.batch or ''
  if batch == '' or id:sub(1, #batch + 1) ~= batch .. '#' or call('EXISTS', K('bat:' .. batch)) == 0 then
    return
  end
  local is_json, m = pcall(cjson.decode, more or '')
  m = is_json and m or {}
  local item = id:sub(#batch + 2)
  local what = m.skipped and 'skipped' or code == 'CONFLICT' and 'conflict' or ITEM_STATUS[status]
  forget_item(batch, item)
  call('HINCRBY', K('bat:' .. batch), 'n:' .. what, 1)
  call('HSET', K('bi:' .. batch), item, cjson.encode({what, code or '', number(call('HGET', K('j:' .. id), 'nano') or nil),
    m.ms or 0, m.tokens or 0, m.message or ''}))
  if m.hash and status == 'done' then
    call('HSET', K('bh:' .. m.flow), m.item, m.hash)
    call('PEXPIRE', K('bh:' .. m.flow), QUESTIONS_KEPT)
  end
end

local function keep_batch(batch)
  for _, kind in ipairs({'bat:', 'bt:', 'bk:', 'bi:', 'bu:', 'bud:batch:'}) do
    call('PEXPIRE', K(kind .. batch .. (kind == 'bud:batch:' and ':total' or '')), BATCH_KEPT)
  end
end

-- A job has ended: one of done, dead, cancelled, quarantined. What is needed to run it again stays
-- with the dead and the quarantined.
local function finish_job(id, j, status, result, log, code, ttl_ms, log_ttl_ms, item)
  local jk = K('j:' .. id)
  call('ZREM', K('lse'), id)
  call('ZREM', K('dly'), id)
  call('SET', K('res:' .. id), result, 'PX', ttl_ms)
  if log ~= '' then
    call('SET', K('log:' .. id), log, 'PX', log_ttl_ms or ttl_ms)
  end
  count_batch(j.batch, j.state, status)
  record_item(id, j, status, code, item)
  if status == 'dead' or status == 'quarantined' then
    call('HSET', jk, 'state', status, 'code', code, 'ended', now)
    call('HDEL', jk, 'permit', 'call_end', 'owner', 'cancel')
    call('ZADD', K(status == 'dead' and 'dead' or 'quar'), now, id)
  else
    call('DEL', jk, K('b:' .. id), K('s:' .. id))
  end
  if status == 'done' and j.item then
    call('DEL', K('pz:' .. j.item))
  elseif ITEM_FAULTS[code] then
    blame_item(j.item, 1, code)
  end
  release_dedup(id, j.dedup)
  answer(j.reply, id, status)
  event(status, id, code)
  count(status)
end

-- A result that is made here, because no worker runs the job.
local function plain_result(id, status, code, message)
  return cjson.encode({id = id, status = status, error = {name = 'Error', code = code, message = message}})
end

-- A call ended without an answer that we know of. It is counted once, as ambiguous.
local function lose_call(id, name, permit)
  local sk = K('s:' .. id)
  local state, question, ends, who = (call('HGET', sk, 'call:' .. name) or ''):match('^(%S+) (%S+) (%S+) (%S+)')
  if state == 'sent' and who == permit then
    call('HSET', sk, 'call:' .. name, 'lost ' .. question .. ' ' .. ends .. ' ' .. who)
    count('ambiguous')
    event('ambiguous', id, name)
  end
end

-- A dead or quarantined job runs again. What it has paid for is kept, unless fresh. false: it is neither.
local function retry_job(id, fresh)
  local jk = K('j:' .. id)
  local j = fields(jk, unpack(ENDED_FIELDS))
  if j.state ~= 'dead' and j.state ~= 'quarantined' then
    return false
  end
  call('ZREM', K('dead'), id)
  call('ZREM', K('quar'), id)
  call('DEL', K('res:' .. id), K('log:' .. id))
  call('HDEL', jk, 'code', 'ended', 'cancel')
  call('HSET', jk, 'losses', 0)
  if j.item then
    call('DEL', K('pz:' .. j.item))
  end
  if fresh then
    call('DEL', K('s:' .. id))
  else
    -- A person has decided about the calls whose answer never came: they may be made again.
    local stored = call('HGETALL', K('s:' .. id))
    for i = 1, #stored, 2 do
      if stored[i]:sub(1, 5) == 'call:' and stored[i + 1]:sub(1, 5) == 'lost ' then
        call('HDEL', K('s:' .. id), stored[i])
        count('repeated')
      end
    end
  end
  make_ready(id, j)
  call('PUBLISH', K('ctl'), 'work')
  event('retried', id)
  return true
end
