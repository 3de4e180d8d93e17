-- seen: a person has looked at these jobs: those of them that are dead or quarantined may go when there is no room
-- for more (tick.lua), the oldest first.
-- ARGV: jobs
-- Reply: how many of them are
-- Sent twice: the same.
local seen = 0
for _, id in ipairs(ARGV) do
  local j = fields(K('j:' .. id), 'state', 'ended')
  if j.state == 'dead' or j.state == 'quarantined' then
    call('ZADD', K('seen'), number(j.ended), id)
    seen = seen + 1
  end
end
return seen
