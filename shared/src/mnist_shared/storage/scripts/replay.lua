-- All events of a run, for its owner alone; and its lease is extended.
-- ARGV id token lease_ms
local id, token, lease_ms = unpack(ARGV)

local record = redis.call('HMGET', key.run .. id, 'state', 'token')
if record[1] ~= 'running' or record[2] ~= token then return {'stale'} end
redis.call('ZADD', key.leases, now_ms() + lease_ms, id)
return {'held', redis.call('XRANGE', key.events .. id, '-', '+')}
