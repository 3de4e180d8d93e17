-- calls.lua: calls to providers, as the scripts keep them.

-- A call ended without an answer that we know of. It is counted once, as ambiguous.
local function lose_call(id, name, permit)
  local sk = K('s:' .. id)
  local state, question, ends, who = (call('HGET', sk, 'call:' .. name) or ''):match('^(%S+) (%S+) (%S+) (%S+)')
  if state == 'sent' and who == permit then
    call('HSET', sk, 'call:' .. name, 'lost ' .. question .. ' ' .. ends .. ' ' .. who)
    count('ambiguous')
    event('ambiguous', id, name)
  end
end
