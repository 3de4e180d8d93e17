-- cancels.lua: nobody wants a job any more.

-- -> as cancel.lua says it
local function cancel_job(id, ttl_ms)
  local jk = K('j:' .. id)
  local j = job_to_end(id)
  if not j.state then
    return call('EXISTS', K('res:' .. id)) == 1 and 'ended' or 'unknown'
  end
  if j.state == 'dead' then
    return 'ended'
  end
  if j.state == 'active' then
    call('HSET', jk, 'cancel', 1)
    call('PUBLISH', K('ctl'), 'cancel ' .. id)
    return 'running'
  end
  call('ZREM', K('q:' .. group_of(j)), id)
  if j.state == 'quarantined' then
    unbury(id)
  end
  if j.state == 'next' and call('GET', K('nx:' .. j.dedup)) == id then
    call('DEL', K('nx:' .. j.dedup))
    call('ZREM', K('nxs'), id)
  end
  finish_job(id, j, 'cancelled', plain_result(id, 'cancelled', 'CANCELLED', 'cancelled before it ran'), '',
    'CANCELLED', ttl_ms)
  return 'waiting'
end
