-- batches.lua: how long what is kept of a batch stays.
local BATCH_KEPT = 30 * DAY

local function keep_batch(batch)
  for _, kind in ipairs({'bat:', 'bt:', 'bk:', 'bi:', 'bu:', 'bud:batch:'}) do
    call('PEXPIRE', K(kind .. batch .. (kind == 'bud:batch:' and ':total' or '')), BATCH_KEPT)
  end
end

