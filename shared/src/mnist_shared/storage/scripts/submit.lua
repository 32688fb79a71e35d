-- Record, indexes, first event and message, all or none. The same id again with the same request changes nothing.
-- KEYS run ids runs queued sequence queue events     ARGV id request message
local run, ids, runs, queued, sequence, queue, events = unpack(KEYS)
local id, request, message = unpack(ARGV)

local known = redis.call('HGET', run, 'request')
if known then
  if known ~= request then return {'conflict'} end
  return {'submitted', redis.call('ZRANK', queued, id) or -1}
end

local now = now_ms()
redis.call('HSET', run, 'schema_version', 1, 'id', id, 'request', request, 'message', message, 'state', 'queued',
  'submitted_ms', now, 'queued_ms', now, 'woken_ms', now, 'attempt', 0, 'attempts_without_checkpoint', 0)
redis.call('ZADD', ids, 0, id)
local number = redis.call('INCR', sequence)
redis.call('ZADD', runs, now + number % 4096 / 4096, id) -- the order of submission within a millisecond, too
redis.call('ZADD', queued, number, id)
redis.call('LPUSH', queue, message)
emit(events, {type = 'submitted'})
return {'submitted', redis.call('ZRANK', queued, id)}
