-- batch_keep: what a write of a batch is about to replace. The first value stays, however often the write is
-- repeated; what was written is that of the last time.
-- ARGV: batch, name of the write, values before as JSON, values written as JSON, most bytes of the whole batch
-- Reply: 1; 0: there is no room: the write can not be reverted.
-- Sent twice: the same.
local batch, name, before, written, most = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local key, bat = K('bu:' .. batch), K('bat:' .. batch)
local kept = call('HGET', key, name)
if kept then
  before = kept:match('^[^\n]*')
elseif number(call('HGET', bat, 'bytes') or nil) + #before + #written > most then
  call('HINCRBY', bat, 'unkept', 1)
  return 0
else
  call('HINCRBY', bat, 'bytes', #before + #written)
end
call('HSET', key, name, before .. '\n' .. written)
return 1
