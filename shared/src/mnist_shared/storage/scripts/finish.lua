-- running -> succeeded | failed | cancelled, with the result or the error and the run's last event.
-- KEYS run leases events live     ARGV id token state result error event      ('' where there is none)
local run, leases, events, live = unpack(KEYS)
local id, token, state, result, error, event = unpack(ARGV)

local record = redis.call('HMGET', run, 'state', 'token', 'closed_by')
if record[3] == token then return {'held'} end -- the answer to the first call was lost
if record[1] ~= 'running' or record[2] ~= token then return {'stale'} end

if result ~= '' then redis.call('HSET', run, 'result', result) end
if error ~= '' then redis.call('HSET', run, 'error', error) end
redis.call('HSET', run, 'closed_by', token)
redis.call('ZREM', leases, id)
close(run, live, state, now_ms())
redis.call('XADD', events, '*', 'event', event)
return {'held'}
