-- Record, indexes, first event and message, all or none. The same id again with the same request changes nothing. A run
-- that is to follow another one that has not succeeded yet is left out of the queue until then.
-- ARGV id request options kind priority message name given ('1': by the user) after parents tags fingerprint
local id, request, options, kind, priority, message, name, given, after, parents, tags, fingerprint = unpack(ARGV)
local run = key.run .. id

local function submitted()
  local record = redis.call('HMGET', run, 'name', 'waits_for')
  return {'submitted', redis.call('ZRANK', key.queued, id) or -1, record[1], record[2] or ''}
end

local known = redis.call('HMGET', run, 'request', 'options')
if known[1] then
  if known[1] ~= request or known[2] ~= options then return {'conflict'} end
  return submitted()
end

if given == '1' then
  local other = bearer(name)
  if other then return {'taken', other} end
end
local waits = false
if after ~= '' then
  local state = redis.call('HGET', key.run .. after, 'state')
  if not state then return {'no_parent'} end
  if state == 'failed' or state == 'cancelled' then return {'parent_ended', state} end
  waits = state ~= 'succeeded'
end

local now = now_ms()
name = free_name(name)
redis.call('HSET', run, 'schema_version', 1, 'id', id, 'request', request, 'options', options, 'kind', kind,
  'priority', priority, 'message', message, 'name', name, 'parents', parents, 'tags', tags, 'state', 'queued',
  'submitted_ms', now, 'attempt', 0, 'attempts_without_checkpoint', 0)
if fingerprint ~= '' then redis.call('HSET', run, 'fingerprint', fingerprint) end
-- the order of submission within a millisecond, too
index(id, name, parents, now + redis.call('INCR', key.sequence) % 4096 / 4096)
emit(id, {type = 'submitted'})
count('submitted')
if waits then
  redis.call('HSET', run, 'waits_for', after)
  redis.call('SADD', key.blocked, id)
  redis.call('ZADD', key.dependents .. after, redis.call('INCR', key.sequence), id)
else
  queue_last(id, now)
end
return submitted()
