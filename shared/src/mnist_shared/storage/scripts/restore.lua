-- Rebuild a record from what the volume keeps of its run. A run that is known is left alone; one that has not ended is
-- queued again, and goes on from its last checkpoint.
-- ARGV id request options kind priority message name parents tags fingerprint state attempt submitted_ms finished_ms
-- progress checkpoint result error, then event id, event, ...
local id, request, options, kind, priority, message, name, parents, tags, fingerprint = unpack(ARGV)
local state, attempt, submitted_ms, finished_ms = unpack(ARGV, 11)
local PARTS, EVENTS = 14, 18 -- the arguments before them
local run = key.run .. id

if redis.call('EXISTS', run) == 1 then return {'known'} end
redis.call('DEL', key.events .. id) -- before all else: who may not is refused with nothing written

local now = now_ms()
name = free_name(name)
redis.call('HSET', run, 'schema_version', 1, 'id', id, 'request', request, 'options', options, 'kind', kind,
  'priority', priority, 'message', message, 'name', name, 'parents', parents, 'tags', tags, 'state', state,
  'submitted_ms', submitted_ms, 'attempt', attempt, 'attempts_without_checkpoint', 0)
if fingerprint ~= '' then redis.call('HSET', run, 'fingerprint', fingerprint) end
for number, part in ipairs({'progress', 'checkpoint', 'result', 'error'}) do
  if ARGV[PARTS + number] ~= '' then redis.call('HSET', run, part, ARGV[PARTS + number]) end
end
index(id, name, parents, submitted_ms)
for number = EVENTS + 1, #ARGV, 2 do
  redis.call('XADD', key.events .. id, ARGV[number], 'event', ARGV[number + 1])
end
if state == 'queued' then
  emit(id, {type = 'submitted'})
  queue_last(id, now)
else
  redis.call('HSET', run, 'finished_ms', finished_ms)
  if state == 'succeeded' and fingerprint ~= '' then redis.call('HSET', key.fingerprints, fingerprint, id) end
end
return {'restored'}
