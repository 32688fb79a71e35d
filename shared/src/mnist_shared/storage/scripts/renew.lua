-- Extend the lease; the answer carries the cancel flag. A lease that ran out but was not reaped is still the owner's.
-- ARGV id token lease_ms
local id, token, lease_ms = unpack(ARGV)

local record = redis.call('HMGET', key.run .. id, 'state', 'token', 'cancel_requested')
if record[1] ~= 'running' or record[2] ~= token then return {'stale'} end
redis.call('ZADD', key.leases, now_ms() + lease_ms, id)
return {'held', record[3] and 1 or 0}
