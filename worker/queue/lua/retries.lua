-- retries.lua: how a dead or quarantined job runs again.

-- A dead or quarantined job runs again. What it has paid for is kept, unless fresh. false: it is neither.
local function retry_job(id, fresh)
  local jk = K('j:' .. id)
  local j = job_to_end(id)
  if j.state ~= 'dead' and j.state ~= 'quarantined' then
    return false
  end
  unbury(id)
  call('DEL', K('res:' .. id), K('log:' .. id))
  call('HDEL', jk, 'code', 'ended', 'cancel')
  call('HSET', jk, 'losses', 0)
  if j.item then
    call('DEL', K('pz:' .. j.item))
  end
  if fresh then
    call('DEL', K('s:' .. id))
  else
    -- A person has decided about the calls whose answer never came: they may be made again.
    local stored = call('HGETALL', K('s:' .. id))
    for i = 1, #stored, 2 do
      if stored[i]:sub(1, 5) == 'call:' and stored[i + 1]:sub(1, 5) == 'lost ' then
        call('HDEL', K('s:' .. id), stored[i])
        count('repeated')
      end
    end
  end
  make_ready(id, j)
  call('PUBLISH', K('ctl'), 'work')
  event('retried', id)
  return true
end
