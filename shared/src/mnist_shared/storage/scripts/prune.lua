-- Forget runs that ended long ago: record, streams and index entries. Their files on the volume stay.
-- KEYS runs ids     ARGV run_prefix events_prefix live_prefix keep_ms limit
local runs, ids = unpack(KEYS)
local run_prefix, events_prefix, live_prefix, keep_ms, limit = unpack(ARGV)

local before = now_ms() - keep_ms
local pruned = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', runs, '-inf', '(' .. before, 'LIMIT', 0, limit)) do
  local finished_ms = redis.call('HGET', run_prefix .. id, 'finished_ms') -- only a run that has ended has one
  if finished_ms and tonumber(finished_ms) < before then
    redis.call('DEL', run_prefix .. id, events_prefix .. id, live_prefix .. id)
    redis.call('ZREM', runs, id)
    redis.call('ZREM', ids, id)
    table.insert(pruned, id)
  end
end
return pruned
