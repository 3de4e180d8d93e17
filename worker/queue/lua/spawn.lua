-- spawn: puts jobs at the door, and collects those that are over.
-- ARGV: lane, tenant, how many to collect, their ids, then for each new one id, body
-- Reply: for each to collect its result, or false if it is not over.
-- Sent twice: a new one has the same id, so it does not run twice.
local lane, tenant, count = ARGV[1], ARGV[2], tonumber(ARGV[3])
local out = {}
for i = 1, count do
  out[i] = call('GET', K('res:' .. ARGV[3 + i]))
end
for i = 4 + count, #ARGV, 2 do
  local entry = {'id', ARGV[i], 'body', ARGV[i + 1], 'lane', lane}
  if tenant ~= '' then
    entry[#entry + 1] = 'tenant'
    entry[#entry + 1] = tenant
  end
  call('XADD', K('in'), '*', unpack(entry))
end
return out
