-- running -> queued by its owner: the attempt is not charged, and the run is the next of its priority to be served. A
-- run that was asked to be cancelled meanwhile is cancelled.
-- ARGV id token
local id, token = unpack(ARGV)
local run = key.run .. id

local record = redis.call('HMGET', run, 'state', 'token', 'cancel_requested', 'worker', 'released_by', 'attempt')
if record[5] == token then return {'held'} end -- the answer to the first call was lost
if record[1] ~= 'running' or record[2] ~= token then return {'stale'} end

local now = now_ms()
redis.call('HSET', run, 'released_by', token)
if record[3] then
  cancel_run(id, now)
else
  uncharge(run)
  redis.call('HDEL', run, 'token')
  redis.call('ZREM', key.leases, id)
  emit(id, {type = 'handed_back', attempt = tonumber(record[6]), worker = record[4]})
  count('handed_back')
  queue_first(id, now)
end
return {'held'}
