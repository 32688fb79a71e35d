-- What every worker does every two seconds: take back the runs of the dead, and wake up the forgotten. The only script
-- that finds its runs itself, so it builds their keys from a prefix.
-- KEYS leases queued queue last_reap hold
-- ARGV run_prefix events_prefix live_prefix lease_ms orphan_ms max_attempts gap_ms limit
local leases, queued, queue, last_reap, hold = unpack(KEYS)
local run_prefix, events_prefix, live_prefix = ARGV[1], ARGV[2], ARGV[3]
local lease_ms, orphan_ms, max_attempts, gap_ms, limit = unpack(ARGV, 4)

local now = now_ms()
local reaped = {}

-- Who was cut off cannot have renewed. After a restart of the server, and after a time in which nobody reaped (the
-- server was frozen, or no worker lived), living owners first get the time to renew: a lease after a restart, a gap
-- after a silence.
local uptime_ms = 1000 * tonumber(string.match(redis.call('INFO', 'server'), 'uptime_in_seconds:(%d+)'))
local silence = now - tonumber(redis.call('GET', last_reap) or 0)
redis.call('SET', last_reap, now)
if silence > tonumber(gap_ms) then redis.call('SET', hold, 1, 'PX', gap_ms) end

if uptime_ms >= tonumber(lease_ms) and redis.call('EXISTS', hold) == 0 then
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', '(' .. now, 'LIMIT', 0, limit)) do
    local run, events, live = run_prefix .. id, events_prefix .. id, live_prefix .. id
    local record = redis.call('HMGET', run, 'state', 'attempt', 'worker', 'attempts_without_checkpoint', 'cancel_requested')
    redis.call('ZREM', leases, id)
    redis.call('HDEL', run, 'token')
    if record[1] == 'running' then
      emit(events, {type = 'attempt_lost', attempt = tonumber(record[2]), worker = record[3]})
      local error = {
        schema_version = 1, kind = 'WorkerLost', attempt = tonumber(record[2]), details = '',
        message = 'Worker ' .. record[3] .. ' was lost: it stopped renewing its lease.',
        hint = 'Look at that worker\'s log and at its machine\'s memory.',
      }
      if record[5] then
        close(run, live, 'cancelled', now)
        emit(events, {type = 'finished', state = 'cancelled'})
        table.insert(reaped, {id, 'cancelled'})
      elseif tonumber(record[4]) >= tonumber(max_attempts) then
        error.message = 'Given up after ' .. record[4] .. ' attempts without a new checkpoint. ' .. error.message
        redis.call('HSET', run, 'error', cjson.encode(error))
        close(run, live, 'failed', now)
        emit(events, {type = 'finished', state = 'failed', error = error})
        table.insert(reaped, {id, 'failed'})
      else
        redis.call('HSET', run, 'error', cjson.encode(error))
        requeue_first(run, id, queued, queue, now)
        table.insert(reaped, {id, 'requeued'})
      end
    end
  end
end

-- A popped message is claimed within moments, unless its worker died in between. Since list and index have the same
-- order, the queued runs that stand before the head of the list are those whose message is gone.
local head = nil
for _, message in ipairs(redis.call('LRANGE', queue, -10, -1)) do
  local ok, envelope = pcall(cjson.decode, message)
  local id = ok and type(envelope) == 'table' and type(envelope.headers) == 'table' and envelope.headers.id
  local score = type(id) == 'string' and redis.call('ZSCORE', queued, id)
  if score then head = tonumber(score) end -- the last one is the next to be popped
end
if head or redis.call('LLEN', queue) == 0 then
  local before = head and '(' .. head or '+inf'
  local orphans = redis.call('ZRANGEBYSCORE', queued, '-inf', before, 'LIMIT', 0, limit)
  for position = #orphans, 1, -1 do -- the first in the index is pushed last, and so popped first
    local id = orphans[position]
    local record = redis.call('HMGET', run_prefix .. id, 'woken_ms', 'message', 'state')
    if record[3] ~= 'queued' then
      redis.call('ZREM', queued, id)
    elseif now - tonumber(record[1]) > tonumber(orphan_ms) then
      redis.call('RPUSH', queue, record[2])
      redis.call('HSET', run_prefix .. id, 'woken_ms', now) -- its message may be on the way to a claim
      table.insert(reaped, {id, 'woken'})
    end
  end
end
return reaped
