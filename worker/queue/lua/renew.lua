-- renew: all leases of a worker, and the slots of their calls, for another while.
-- ARGV: lease ms, then for each job: id, fence
-- Reply: for each job ok, cancel (somebody wants it to stop) or lost.
-- Sent twice: the same.
-- With: calls
local lease_end = whole(now + tonumber(ARGV[1]))
local states = {}

local function renew_permit(permit)
  local p = permit_read(permit)
  if p then
    for i = TAKEN, #p, 5 do
      if p[i] == 'slot' then
        call('ZADD', K('cs:' .. p[i + 1]), 'XX', lease_end, permit .. LONG)
      end
    end
    call('ZADD', K('px'), 'XX', lease_end, permit .. LONG)
  end
end

for i = 2, #ARGV, 2 do
  local id = ARGV[i]
  local j = fields(K('j:' .. id), 'fence', 'state', 'cancel', 'permit')
  if j.fence ~= ARGV[i + 1] or j.state ~= 'active' then
    states[#states + 1] = 'lost'
  else
    call('ZADD', K('lse'), lease_end, id .. LONG)
    if j.permit then
      renew_permit(j.permit)
    end
    states[#states + 1] = j.cancel and 'cancel' or 'ok'
  end
end
return states
