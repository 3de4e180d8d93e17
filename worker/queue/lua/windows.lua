-- windows.lua: sliding windows, exact to a bucket; put in front of permit, settle and scopes.
--
-- A window is one hash: what was used in each bucket of time, their sum t, and the first bucket h. A
-- bucket counts until it is wholly older than the span, which is the provider's plus 200 ms for the way
-- there. Tokens that the provider counts when they are used are held in the bucket in which the call is
-- over at the latest, and go to the bucket of the moment when it is really over.
local WINDOWS = {
  rpm = {span = 60200, size = 100}, tpm = {span = 60200, size = 100}, itpm = {span = 60200, size = 100},
  otpm = {span = 60200, size = 100}, rpd = {span = DAY + 200, size = 60000},
}
local CHUNK = 500

local function window_key(scope, kind)
  return K('win:' .. scope .. '|' .. kind)
end

local function bucket_at(kind, at_ms)
  return math.floor(at_ms / WINDOWS[kind].size)
end

-- Calls fn(bucket, amount) for the buckets from first to last that hold something, until it returns true.
local function each_bucket(key, first, last, fn)
  for from = first, last, CHUNK do
    local names = {}
    for b = from, math.min(from + CHUNK - 1, last) do
      names[#names + 1] = string.format('%.0f', b)
    end
    for i, amount in ipairs(call('HMGET', key, unpack(names))) do
      if amount and fn(from + i - 1, tonumber(amount)) then
        return
      end
    end
  end
end

-- The server's clock went back (another server took over): all that was used counts from now.
local function restart_window(key, kind, total)
  call('DEL', key)
  local b = bucket_at(kind, now)
  call('HSET', key, 't', total, 'h', b, 'n', now, string.format('%.0f', b), total)
  call('PEXPIRE', key, WINDOWS[kind].span * 2)
end

-- What counts at this moment. Forgets what is too old.
local function window_used(scope, kind)
  local key, w = window_key(scope, kind), WINDOWS[kind]
  local h = fields(key, 't', 'h', 'n')
  if not h.t then
    return 0
  end
  if number(h.n) > now + 5000 then
    restart_window(key, kind, h.t)
    return tonumber(h.t)
  end
  local total, first = tonumber(h.t), math.floor((now - w.span) / w.size)
  if tonumber(h.h) >= first then
    return total
  end
  each_bucket(key, tonumber(h.h), first - 1, function(b, amount)
    call('HDEL', key, string.format('%.0f', b))
    total = total - amount
  end)
  call('HSET', key, 'h', first, 't', total, 'n', now)
  return total
end

local function window_add(scope, kind, b, amount)
  local key, w = window_key(scope, kind), WINDOWS[kind]
  call('HINCRBY', key, string.format('%.0f', b), amount)
  call('HINCRBY', key, 't', amount)
  local head = call('HGET', key, 'h')
  if not head or tonumber(head) > b then
    call('HSET', key, 'h', b)
  end
  call('HSET', key, 'n', now)
  local keep = (b + 1) * w.size + w.span - now + 1000
  if call('PTTL', key) < keep then
    call('PEXPIRE', key, keep)
  end
end

-- Takes back what was put into a bucket, if it still counts. -> how much that was
local function window_take_back(scope, kind, b, amount)
  local key, name = window_key(scope, kind), string.format('%.0f', b)
  local there = number(call('HGET', key, name))
  local back = math.min(there, amount)
  if back > 0 then
    call('HINCRBY', key, 't', -back)
    if back == there then
      call('HDEL', key, name)
    else
      call('HINCRBY', key, name, -back)
    end
  end
  return back
end

-- When `need` will have left the window. What calls under way hold may come back at any moment, so
-- where that is needed, or helps, the answer is "soon".
local function window_room_at(scope, kind, need)
  local key, w = window_key(scope, kind), WINDOWS[kind]
  local h = fields(key, 't', 'h')
  local gone, at_ms = 0, nil
  each_bucket(key, number(h.h), bucket_at(kind, now), function(b, amount)
    gone = gone + amount
    if gone >= need and not at_ms then
      at_ms = (b + 1) * w.size + w.span
    end
  end)
  if gone < number(h.t) then
    at_ms = math.min(at_ms or now + 500, now + 500)
  end
  return at_ms or now + 500
end
