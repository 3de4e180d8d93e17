-- hello: a worker starts.
-- ARGV: layout of the program
-- Reply: {1, layout} it may work; {0, layout} the keys have a layout it does not know.
-- Sent twice: the same. Programs of layout N and N-1 work together on either layout; the layout is
-- raised when the first N finds no worker of N-1 alive.
local mine = tonumber(ARGV[1])
local there = tonumber(call('GET', K('v')) or mine)
if math.abs(there - mine) > 1 then
  return {0, there}
end
local older = false
for _, worker in ipairs(call('ZRANGEBYSCORE', K('wrk'), now - 30000, '+inf')) do
  older = older or number(call('HGET', K('w:' .. worker), 'layout')) < mine
end
if there < mine and older then
  return {1, there}
end
call('SET', K('v'), math.max(there, mine))
redis.pcall('XGROUP', 'CREATE', K('in'), 'file', '0', 'MKSTREAM')
return {1, math.max(there, mine)}
