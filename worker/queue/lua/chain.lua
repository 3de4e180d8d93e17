-- chain: has this chain of causes been here before?
-- ARGV: chain, what (a flow and an item, as a digest), job
-- Reply: the job that was first to do it within this chain; the same job again is no loop.
-- Sent twice: the same reply.
local KEPT_MS = 3600000
local key = K('chain:' .. ARGV[1])
call('HSETNX', key, ARGV[2], ARGV[3])
call('PEXPIRE', key, KEPT_MS)
return call('HGET', key, ARGV[2])
