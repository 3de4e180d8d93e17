-- progress: how far a running job is, for people.
-- ARGV: job, fence, done, total
-- Reply: 1, or 0 if the job is not the caller's.
-- Sent twice: the same.
local jk = K('j:' .. ARGV[1])
local j = fields(jk, 'fence', 'state')
if j.fence ~= ARGV[2] or j.state ~= 'active' then
  return 0
end
call('HSET', jk, 'progress', ARGV[3] .. '/' .. ARGV[4])
return 1
