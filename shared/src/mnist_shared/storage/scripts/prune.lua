-- Forget runs that ended long ago: record, streams and index entries. Their files on the volume stay.
-- ARGV keep_ms limit
local keep_ms, limit = unpack(ARGV)

local before = now_ms() - keep_ms
local pruned = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', key.runs, '-inf', '(' .. before, 'LIMIT', 0, limit)) do
  local record = redis.call('HMGET', key.run .. id, 'finished_ms', 'name', 'parents', 'fingerprint')
  if record[1] and tonumber(record[1]) < before then -- only a run that has ended has a time of its end
    redis.call('DEL', key.run .. id, key.events .. id, key.live .. id, key.children .. id, key.dependents .. id)
    redis.call('ZREM', key.runs, id)
    redis.call('ZREM', key.ids, id)
    if record[2] then redis.call('ZREM', key.names, string.lower(record[2]) .. ':' .. id) end
    for parent in string.gmatch(record[3] or '', '%x+') do redis.call('ZREM', key.children .. parent, id) end
    if record[4] and redis.call('HGET', key.fingerprints, record[4]) == id then
      redis.call('HDEL', key.fingerprints, record[4])
    end
    table.insert(pruned, id)
  end
end
return pruned
