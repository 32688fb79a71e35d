-- running -> queued by its owner: the attempt is not charged, and the run is the next to be served. A run that was
-- asked to be cancelled meanwhile is cancelled.
-- KEYS run leases queued queue events live     ARGV id token
local run, leases, queued, queue, events, live = unpack(KEYS)
local id, token = unpack(ARGV)

local record = redis.call('HMGET', run, 'state', 'token', 'cancel_requested', 'worker', 'released_by', 'attempt')
if record[5] == token then return {'held'} end -- the answer to the first call was lost
if record[1] ~= 'running' or record[2] ~= token then return {'stale'} end

local now = now_ms()
redis.call('HSET', run, 'released_by', token)
redis.call('ZREM', leases, id)
if record[3] then
  close(run, live, 'cancelled', now)
  emit(events, {type = 'finished', state = 'cancelled'})
  return {'held'}
end
if tonumber(redis.call('HGET', run, 'attempts_without_checkpoint')) > 0 then
  redis.call('HINCRBY', run, 'attempts_without_checkpoint', -1)
end
redis.call('HDEL', run, 'token')
emit(events, {type = 'handed_back', attempt = tonumber(record[6]), worker = record[4]})
requeue_first(run, id, queued, queue, now)
return {'held'}
