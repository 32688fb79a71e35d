-- queued -> running. The fencing token is the attempt number, which only ever grows, with the claim's nonce: it stays
-- unique even when records are rebuilt after a loss. The nonce also makes a claim whose answer was lost safe to ask
-- again: it gets the same grant. While the queue is paused, or the worker drained, nothing is granted: the message is
-- gone then, and the reaper sends it again as soon as it may.
-- ARGV id worker nonce lease_ms
local id, worker, nonce, lease_ms = unpack(ARGV)
local run = key.run .. id

local record = redis.call('HMGET', run, 'state', 'attempt', 'token', 'waits_for')
local state, attempt = record[1], tonumber(record[2])
if not state then return {'unknown'} end

if state == 'queued' and not record[4] then
  if redis.call('EXISTS', key.paused) == 1 or redis.call('SISMEMBER', key.drained, worker) == 1 then
    redis.call('HSET', run, 'woken_ms', 0)
    return {'refused', state}
  end
  local now = now_ms()
  attempt = attempt + 1
  redis.call('HSET', run, 'state', 'running', 'worker', worker, 'attempt', attempt, 'token', attempt .. ':' .. nonce)
  redis.call('HINCRBY', run, 'attempts_without_checkpoint', 1)
  redis.call('HSETNX', run, 'started_ms', now)
  redis.call('ZREM', key.queued, id)
  redis.call('ZADD', key.leases, now + lease_ms, id)
  emit(id, {type = 'attempt_started', attempt = attempt, worker = worker})
  count('attempts')
else
  if state ~= 'running' or record[3] ~= attempt .. ':' .. nonce then return {'refused', state} end
  redis.call('ZADD', key.leases, now_ms() + lease_ms, id)
end
local asked = redis.call('HMGET', run, 'request', 'options', 'name', 'failures')
return {'granted', attempt, asked[1], asked[2] or '', asked[3] or '', asked[4] or 0}
