-- windows.lua: sliding windows, exact to a bucket.
--
-- A window is one hash: what was used in each bucket of time, and in field w, packed, what is read each
-- time: the sum of all buckets, the first bucket, when that was written, what calls under way hold, when
-- the key is forgotten. A bucket counts until it is wholly older than the span, which is the provider's
-- plus 200 ms for the way there. Tokens that the provider counts when they are used are held until the
-- call is over, and go to the bucket of that moment.
local WINDOWS = {
  rpm = {60200, 100}, tpm = {60200, 100}, itpm = {60200, 100}, otpm = {60200, 100}, rpd = {DAY + 200, 60000},
}
local CHUNK = 500

local function window_key(scope, kind)
  return P .. 'win:' .. scope .. '|' .. kind
end

local function bucket_at(kind, at_ms)
  return math.floor(at_ms / WINDOWS[kind][2])
end

-- Calls fn(bucket, amount) for the buckets from first to last that hold something, until it returns true.
local function each_bucket(key, first, last, fn)
  for from = first, last, CHUNK do
    local names = {}
    for b = from, math.min(from + CHUNK - 1, last) do
      names[#names + 1] = b
    end
    for i, amount in ipairs(call('HMGET', key, unpack(names))) do
      if amount and fn(from + i - 1, tonumber(amount)) then
        return
      end
    end
  end
end

-- bucket, amount: what else is to be written.
local function window_save(w, bucket, amount)
  local needed = ((bucket or bucket_at(w.kind, now)) + 1) * w.size + w.span + 1000
  local is_short = w.ends < needed
  if is_short then
    w.ends = needed + 60000
  end
  local packed = cmsgpack.pack(w.used, w.first, now, w.held, w.ends)
  if amount then
    call('HSET', w.key, 'w', packed, bucket, amount)
  else
    call('HSET', w.key, 'w', packed)
  end
  if is_short then
    call('PEXPIRE', w.key, w.ends - now)
  end
end

-- The server's clock went back (another server took over): all that was used counts from now.
local function window_restart(w, bucket)
  call('DEL', w.key)
  w.first, w.ends, w.there = bucket_at(w.kind, now), 0, 0
  if w.used > 0 then
    w.there = bucket == w.first and w.used or 0
    window_save(w, w.first, w.used)
  end
end

local function window_forget_old(w, first)
  local old = {}
  if w.used > 0 then
    each_bucket(w.key, w.first, first - 1, function(bucket, amount)
      old[#old + 1] = bucket
      w.used = w.used - amount
      return w.used <= 0
    end)
  end
  w.first = first
  if old[1] then
    for i = 1, #old, CHUNK do
      call('HDEL', w.key, unpack(old, i, math.min(i + CHUNK - 1, #old)))
    end
    window_save(w)
  end
end

-- A window at this moment: used, held; there: what is in that bucket.
local function window_open(scope, kind, bucket)
  local spec = WINDOWS[kind]
  local w = {key = window_key(scope, kind), kind = kind, span = spec[1], size = spec[2], used = 0, first = 0, held = 0,
    ends = 0, there = 0}
  local packed, there, written
  if bucket then
    local got = call('HMGET', w.key, 'w', bucket)
    packed, there = got[1], got[2]
  else
    packed = call('HGET', w.key, 'w')
  end
  if packed then
    w.used, w.first, written, w.held, w.ends = cmsgpack.unpack(packed)
    w.there = tonumber(there or 0)
    local first = math.floor((now - w.span) / w.size)
    if written > now + 5000 then
      window_restart(w, bucket)
    elseif w.first < first then
      window_forget_old(w, first)
    end
  end
  w.is_new = not packed
  return w
end

-- Puts something into the bucket with which the window was opened.
local function window_put(w, bucket, amount)
  w.first = w.used > 0 and math.min(w.first, bucket) or bucket
  w.used = w.used + amount
  w.there = w.there + amount
  window_save(w, bucket, w.there)
end

-- A call that may last so long will use something.
local function window_hold(w, amount, lasts_ms)
  w.held = w.held + amount
  window_save(w, bucket_at(w.kind, now + lasts_ms))
end

-- A call under way does not hold its tokens any more; they were used, at the moment of that bucket.
local function window_release(scope, kind, held, used, bucket)
  local w = window_open(scope, kind, bucket)
  w.held = math.max(0, w.held - held)
  if used > 0 then
    window_put(w, bucket, used)
  else
    window_save(w)
  end
end

-- What was put into one bucket, if it still counts, belongs into another one; `instead`: as that amount.
local function window_move(scope, kind, from, amount, to, instead)
  local w = window_open(scope, kind, from)
  local back = math.min(w.there, amount)
  if back > 0 then
    w.used = w.used - back
    if back == w.there then
      call('HDEL', w.key, from)
    else
      call('HSET', w.key, from, w.there - back)
    end
  end
  local put = instead or back
  if put > 0 and from ~= to then
    w.there = number(call('HGET', w.key, to))
    window_put(w, to, put)
  elseif put > 0 then
    w.there = w.there - back
    window_put(w, to, put)
  elseif back > 0 then
    window_save(w)
  end
end

-- When `need` will have left the window. What calls under way hold may come back at any moment, so
-- where that is needed, or helps, the answer is "soon".
local function window_room_at(w, need)
  local gone, at_ms = 0, nil
  if w.used > 0 then
    each_bucket(w.key, w.first, bucket_at(w.kind, now), function(bucket, amount)
      gone = gone + amount
      if gone >= need then
        at_ms = (bucket + 1) * w.size + w.span
      end
      return at_ms
    end)
  end
  if w.held > 0 or not at_ms then
    at_ms = math.min(at_ms or now + 500, now + 500)
  end
  return at_ms
end
