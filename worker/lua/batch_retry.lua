-- batch_retry: items of a batch run again. Go on with batch_set resume.
-- ARGV: batch, fresh 0|1 (what they have paid for is forgotten), keys of items
-- Reply: how many wait again.
-- Sent twice: those that wait already are left alone.
local batch, fresh = ARGV[1], ARGV[2] == '1'
local bat, again = K('bat:' .. batch), 0

-- The job is gone (cancelled, purged): its key goes to the end of the list.
local function list_again(id, item)
  local row = call('HGET', bat, 'input') and call('LINDEX', K('bk:' .. batch), tonumber(item) - 1)
  call('DEL', K('res:' .. id), K('log:' .. id))
  call('RPUSH', K('bk:' .. batch), row or cjson.encode(item))
  call('HINCRBY', bat, 'total', 1)
  call('HINCRBY', bat, 'fed', -1)
end

for i = 3, #ARGV do
  local item = ARGV[i]
  local id = batch .. '#' .. item
  local record = cjson.decode(call('HGET', K('bi:' .. batch), item) or '["done"]')
  if record[1] == 'failed' or record[1] == 'conflict' or record[1] == 'cancelled' then
    if not retry_job(id, fresh or ITEM_FAULTS[record[2]]) then
      list_again(id, item)
    end
    forget_item(batch, item)
    again = again + 1
  end
end
return again
