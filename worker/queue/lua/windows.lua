-- windows.lua: sliding windows, exact to a bucket.
--
-- A window is one hash: what was used in each bucket of time, and in field SUMS, packed, what is read each
-- time: the sum of all buckets, the first bucket, when that was written, what calls under way hold, when
-- the key is forgotten. A bucket counts until it is wholly older than the span, which is the provider's
-- plus 200 ms for the way there. Tokens that the provider counts when they are used are held until the
-- call is over, and go to the bucket of that moment.

local SUMS = 'w: sum, first bucket, when written, held, end; and so long: see LONG'

-- -> how long a window of the kind is, how long a bucket
local function window_sizes(kind)
  if kind == 'rpd' then
    return DAY + 200, 60000
  end
  return 60200, 100 -- rpm tpm itpm otpm
end

local function bucket_at(kind, at_ms)
  local _, size = window_sizes(kind)
  return math.floor(at_ms / size)
end

-- The name of a bucket's field. Most windows of a call have the same one.
local named, its_name

local function bucket_name(bucket)
  if named ~= bucket then
    named, its_name = bucket, whole(bucket)
  end
  return its_name
end

-- Calls fn(bucket, amount) for the buckets from first to last that hold something, until it returns true.
local function each_bucket(key, first, last, fn)
  local CHUNK = 500
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

-- bucket, amount: what else is to be written; last: a later bucket in which something may be put.
local function window_save(w, bucket, amount, last)
  local needed = ((last or bucket or math.floor(now / w.size)) + 1) * w.size + w.span + 1000
  local is_short = w.ends < needed
  if is_short then
    w.ends = needed + 60000
  end
  local packed = cmsgpack.pack(w.used, w.first, now, w.held, w.ends)
  if bucket then
    call('HSET', w.key, SUMS, packed, bucket_name(bucket), amount)
  else
    call('HSET', w.key, SUMS, packed)
  end
  if is_short then
    call('PEXPIRE', w.key, w.ends - now)
  end
end

-- What is older than the window leaves it. If the server's clock went back (another server took over), all that was
-- used counts from now.
local function window_tidy(w, bucket, first, is_back)
  if is_back then
    call('DEL', w.key)
    w.first, w.ends, w.there = math.floor(now / w.size), 0, 0
    if w.used > 0 then
      w.there = bucket == w.first and w.used or 0
      window_save(w, w.first, w.used)
    end
    return
  end
  local old = {}
  if w.used > 0 then
    each_bucket(w.key, w.first, first - 1, function(at, amount)
      old[#old + 1] = at
      w.used = w.used - amount
      return w.used <= 0
    end)
  end
  w.first = first
  if bucket and bucket < first then
    w.there = 0
  end
  for i = 1, #old, 500 do
    call('HDEL', w.key, unpack(old, i, math.min(i + 499, #old)))
  end
  if old[1] then
    window_save(w)
  end
end

-- A window at this moment: used, held; there: what is in that bucket.
local function window_open(scope, kind, bucket)
  local span, size = window_sizes(kind)
  local w = {key = P .. 'win:' .. scope .. '|' .. kind, span = span, size = size, bucket = bucket, used = 0, first = 0,
    held = 0, ends = 0, there = 0}
  local packed, there, written
  if bucket then
    local got = call('HMGET', w.key, SUMS, bucket_name(bucket))
    packed, there = got[1], got[2]
  else
    packed = call('HGET', w.key, SUMS)
  end
  w.is_new = not packed
  if packed then
    w.used, w.first, written, w.held, w.ends = cmsgpack.unpack(packed)
    w.there = tonumber(there or 0)
    local first = math.floor((now - span) / size)
    if w.first < first or written > now + 5000 then
      window_tidy(w, bucket, first, written > now + 5000)
    end
  end
  return w
end

-- Puts something into the bucket with which the window was opened.
local function window_put(w, bucket, amount)
  w.first = w.used > 0 and math.min(w.first, bucket) or bucket
  w.used = w.used + amount
  w.there = w.there + amount
  window_save(w, bucket, w.there)
end

-- When `need` will have left the window. What calls under way hold may come back at any moment, so
-- where that is needed, or helps, the answer is "soon".
local function window_room_at(w, need)
  local gone, at_ms = 0, nil
  if w.used > 0 then
    each_bucket(w.key, w.first, math.floor(now / w.size), function(bucket, amount)
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
