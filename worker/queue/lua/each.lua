-- each.lua: behind a script that is told of several things at once (queue_joint.c). Its words are, for each of them, how
-- many words it has, and these; its reply has one for each. What the script and its parts define is defined once, and
-- the clock is read once, however many there are. An error of one of them is that of all: whoever asked asks again, alone.
local replies, i, k = {}, 1, 0
while ARGV[i] do
  local last = i + tonumber(ARGV[i])
  local words = {}
  for w = i + 1, last do
    words[w - i] = ARGV[w]
  end
  k = k + 1
  replies[k] = one(words)
  i = last + 1
end
return replies
