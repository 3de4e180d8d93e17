-- store: finished steps, notes: kept with the job before anything uses them.
-- ARGV: job, fence, then for each text: name, 1 and the text, or 0 and '' to forget it
-- Reply: 1 stored; 0 the job is not ours any more, nothing was stored.
-- Sent twice: the same.
-- Told of several at once: each.lua.
local j = fields(K('j:' .. ARGV[1]), 'fence', 'state')
if j.fence ~= ARGV[2] or j.state ~= 'active' then
  return 0
end
for i = 3, #ARGV, 3 do
  if ARGV[i + 1] == '1' then
    call('HSET', K('s:' .. ARGV[1]), ARGV[i], ARGV[i + 2])
  else
    call('HDEL', K('s:' .. ARGV[1]), ARGV[i])
  end
end
return 1
