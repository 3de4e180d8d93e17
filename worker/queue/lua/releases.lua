-- releases.lua: what a call held or took of a window, when it is over.

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

-- What was put into one bucket belongs into another one, also if it has left the window meanwhile; `instead`: as that
-- amount. If it is there no more, and can not have left, the clock has gone back: it counts with all else since then.
local function window_move(scope, kind, from, amount, to, instead)
  local w = window_open(scope, kind, from)
  local back = math.min(w.there, amount)
  if back > 0 then
    w.used = w.used - back
    if back == w.there then
      call('HDEL', w.key, whole(from))
    else
      call('HSET', w.key, whole(from), w.there - back)
    end
  end
  local first = math.floor((now - w.span) / w.size)
  local has_left = from < first
  local is_known = back > 0 or has_left or amount == 0
  local put = is_known and to >= first and (instead or has_left and amount or back) or 0
  if put > 0 and from ~= to then
    w.there = number(call('HGET', w.key, whole(to)))
    window_put(w, to, put)
  elseif put > 0 then
    w.there = w.there - back
    window_put(w, to, put)
  elseif back > 0 then
    window_save(w)
  end
end
