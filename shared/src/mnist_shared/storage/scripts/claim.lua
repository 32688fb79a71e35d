-- queued -> running. The fencing token is the attempt number, which only ever grows, with the claim's nonce: it stays
-- unique even when records are rebuilt after a loss. The nonce also makes a claim whose answer was lost safe to ask
-- again: it gets the same grant.
-- KEYS run queued leases events     ARGV id worker nonce lease_ms
local run, queued, leases, events = unpack(KEYS)
local id, worker, nonce, lease_ms = unpack(ARGV)

local state = redis.call('HGET', run, 'state')
if not state then return {'unknown'} end

local attempt
if state == 'queued' then
  local now = now_ms()
  attempt = redis.call('HINCRBY', run, 'attempt', 1)
  redis.call('HINCRBY', run, 'attempts_without_checkpoint', 1)
  redis.call('HSET', run, 'state', 'running', 'worker', worker, 'token', attempt .. ':' .. nonce)
  redis.call('HSETNX', run, 'started_ms', now)
  redis.call('ZREM', queued, id)
  redis.call('ZADD', leases, now + lease_ms, id)
  emit(events, {type = 'attempt_started', attempt = attempt, worker = worker})
else
  attempt = tonumber(redis.call('HGET', run, 'attempt'))
  if state ~= 'running' or redis.call('HGET', run, 'token') ~= attempt .. ':' .. nonce then return {'refused', state} end
  redis.call('ZADD', leases, now_ms() + lease_ms, id)
end
return {'granted', attempt, redis.call('HGET', run, 'request')}
