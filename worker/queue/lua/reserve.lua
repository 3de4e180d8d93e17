-- reserve.lua: windows for several calls that one command asks about. Each finds a window as the call before has left it,
-- and it is written once, when all have been looked at. A script that uses this changes no window in another way.
local reserved = {}

local function reserve_open(scope, kind)
  local name = scope .. '|' .. kind
  local w = reserved[name]
  if not w then
    w = window_open(scope, kind, bucket_at(kind, now))
    reserved[name] = w
  end
  return w
end

local function reserve_write(w)
  if w.is_changed then
    w.is_changed = false
    window_save(w, w.has_put and w.bucket or nil, w.there, w.last)
  end
end

-- Puts the amount into the bucket of this moment; with `last` it is held until the call is over, in that bucket at the latest.
local function reserve(w, amount, last)
  if last then
    w.held = w.held + amount
    w.last = math.max(w.last or 0, last)
  else
    w.first = w.used > 0 and math.min(w.first, w.bucket) or w.bucket
    w.used, w.there, w.has_put = w.used + amount, w.there + amount, true
  end
  if not w.is_changed then
    w.is_changed, w.is_new = true, false
    at_the_end(function()
      reserve_write(w)
    end)
  end
end

-- When `need` will have left the window.
local function reserve_room_at(w, need)
  reserve_write(w)
  return window_room_at(w, need)
end
