-- running -> succeeded | failed | cancelled, with the result or the error and the run's last event. A failed attempt
-- that may be repeated, of a run with retries left, is running -> queued instead, behind all that wait.
-- ARGV id token state result error event retry      ('' where there is none)
local id, token, state, result, error, event, retry = unpack(ARGV)
local run = key.run .. id

local record = redis.call('HMGET', run, 'state', 'token', 'closed_by', 'cancel_requested', 'options', 'failures',
  'attempt', 'worker')
if record[3] == token then return {'held'} end -- the answer to the first call was lost
if record[1] ~= 'running' or record[2] ~= token then return {'stale'} end

local now = now_ms()
redis.call('HSET', run, 'closed_by', token)
if result ~= '' then redis.call('HSET', run, 'result', result) end
if error ~= '' then redis.call('HSET', run, 'error', error) end

local retries = retry == '1' and record[5] and cjson.decode(record[5]).retries or 0
if tonumber(record[6] or 0) >= retries then
  end_run(id, state, event, now)
elseif record[4] then
  cancel_run(id, now)
else
  redis.call('HINCRBY', run, 'failures', 1)
  uncharge(run)
  redis.call('HDEL', run, 'token')
  redis.call('ZREM', key.leases, id)
  emit(id, {type = 'attempt_failed', attempt = tonumber(record[7]), worker = record[8], error = cjson.decode(error)})
  count('attempts_failed')
  queue_last(id, now)
end
return {'held'}
