-- A queued run is cancelled at once; so is a running one whose owner's lease ran out long ago (nobody is left to do
-- it), or one whose end is forced: its owner finds its token stale and commits nothing more. Otherwise a running one is
-- asked: its owner hears it with the next answer it gets.
-- ARGV id lease_ms force ('1' or '')
local id, lease_ms, force = unpack(ARGV)

local state = redis.call('HGET', key.run .. id, 'state')
if not state then return {'unknown'} end
if state ~= 'queued' and state ~= 'running' then return {'final', state} end

local now = now_ms()
local lease = tonumber(redis.call('ZSCORE', key.leases, id) or 0)
if state == 'queued' or force == '1' or lease + lease_ms < now then
  cancel_run(id, now)
  return {'cancelled'}
end
if redis.call('HSETNX', key.run .. id, 'cancel_requested', 1) == 1 then emit(id, {type = 'cancel_requested'}) end
return {'requested'}
