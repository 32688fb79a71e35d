-- Rebuild a record from what the volume keeps of its run. A run that is known is left alone; one that has not ended is
-- queued again, and goes on from its last checkpoint.
-- KEYS run ids runs queued sequence queue events
-- ARGV id request message state attempt submitted_ms finished_ms progress checkpoint result error, then event id, event, ...
local run, ids, runs, queued, sequence, queue, events = unpack(KEYS)
local id, request, message, state, attempt, submitted_ms, finished_ms = unpack(ARGV)
local NUM_FIELDS = 11

if redis.call('EXISTS', run) == 1 then return {'known'} end

redis.call('HSET', run, 'schema_version', 1, 'id', id, 'request', request, 'message', message, 'state', state,
  'submitted_ms', submitted_ms, 'queued_ms', now_ms(), 'woken_ms', now_ms(), 'attempt', attempt, 'attempts_without_checkpoint', 0)
for number, name in ipairs({'progress', 'checkpoint', 'result', 'error'}) do
  if ARGV[7 + number] ~= '' then redis.call('HSET', run, name, ARGV[7 + number]) end
end
redis.call('ZADD', ids, 0, id)
redis.call('ZADD', runs, submitted_ms, id)
redis.call('DEL', events)
for number = NUM_FIELDS + 1, #ARGV, 2 do
  redis.call('XADD', events, ARGV[number], 'event', ARGV[number + 1])
end
if state == 'queued' then
  redis.call('ZADD', queued, redis.call('INCR', sequence), id)
  redis.call('LPUSH', queue, message)
  emit(events, {type = 'submitted'})
else
  redis.call('HSET', run, 'finished_ms', finished_ms)
end
return {'restored'}
