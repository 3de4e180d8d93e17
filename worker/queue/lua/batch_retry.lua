-- batch_retry: items of a batch that failed, or were cancelled, run again. Go on with batch_set resume.
-- ARGV: batch, fresh 0|1 (what they have paid for is forgotten), keys of items
-- Reply: how many wait again.
-- Sent twice: those that wait already are left alone.
--
-- A job that has an answer goes on behind it, so that it is not paid twice, unless the answer is what was
-- wrong. Any other item is read again: it may have been mended, or changed.
-- With: groups graves ends retries
local batch, fresh = ARGV[1], ARGV[2] == '1'
local bat, again = K('bat:' .. batch), 0
local BADLY = {failed = true, conflict = true, cancelled = true}

local function has_answer(id)
  for _, name in ipairs(call('HKEYS', K('s:' .. id))) do
    if name:sub(1, 7) == 'answer:' then
      return true
    end
  end
  return false
end

local function read_again(id, item)
  local row = call('HGET', bat, 'input') and call('LINDEX', K('bk:' .. batch), tonumber(item) - 1)
  local state = call('HGET', K('j:' .. id), 'state')
  if state then
    count_batch(batch, state, '')
    unbury(id)
  end
  call('DEL', K('j:' .. id), K('b:' .. id), K('s:' .. id), K('res:' .. id), K('log:' .. id))
  call('RPUSH', K('bk:' .. batch), row or cjson.encode(item))
  call('HINCRBY', bat, 'total', 1)
  call('HINCRBY', bat, 'again', 1)
  call('HINCRBY', bat, 'fed', -1)
end

for i = 3, #ARGV do
  local item = ARGV[i]
  local id = batch .. '#' .. item
  local record = cjson.decode(call('HGET', K('bi:' .. batch), item) or '["done"]')
  if BADLY[record[1]] then
    local keep = not fresh and not is_item_fault(record[2]) and record[1] == 'failed' and has_answer(id)
    if not keep or not retry_job(id, false) then
      read_again(id, item)
    end
    forget_item(batch, item)
    again = again + 1
  end
end
return again
