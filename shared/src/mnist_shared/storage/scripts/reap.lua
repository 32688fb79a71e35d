-- What every worker does every two seconds: take back the runs of the dead, and wake up the forgotten.
-- ARGV lease_ms orphan_ms max_attempts gap_ms limit
local lease_ms, orphan_ms, max_attempts, gap_ms, limit = unpack(ARGV)

local now = now_ms()
local reaped = {}

-- Who was cut off cannot have renewed. After a restart of the server, and after a time in which nobody reaped (the
-- server was frozen, or no worker lived), living owners first get the time to renew: a lease after a restart, a gap
-- after a silence.
local uptime_ms = 1000 * tonumber(string.match(redis.call('INFO', 'server'), 'uptime_in_seconds:(%d+)'))
local silence = now - tonumber(redis.call('GET', key.last_reap) or 0)
redis.call('SET', key.last_reap, now)
if silence > tonumber(gap_ms) then redis.call('SET', key.hold, 1, 'PX', gap_ms) end

local function take_back(id)
  local run = key.run .. id
  local record = redis.call('HMGET', run, 'state', 'attempt', 'worker', 'attempts_without_checkpoint', 'cancel_requested')
  redis.call('ZREM', key.leases, id)
  redis.call('HDEL', run, 'token')
  if record[1] ~= 'running' then return end
  emit(id, {type = 'attempt_lost', attempt = tonumber(record[2]), worker = record[3]})
  count('attempts_lost')
  if record[5] then
    cancel_run(id, now)
    return 'cancelled'
  end
  local error = {
    schema_version = 1, kind = 'WorkerLost', attempt = tonumber(record[2]), details = '',
    message = 'Worker ' .. record[3] .. ' was lost: it stopped renewing its lease.',
    hint = 'Look at that worker\'s log and at its machine\'s memory.',
  }
  if tonumber(record[4]) < tonumber(max_attempts) then
    redis.call('HSET', run, 'error', cjson.encode(error))
    queue_first(id, now)
    return 'requeued'
  end
  error.message = 'Given up after ' .. record[4] .. ' attempts without a new checkpoint. ' .. error.message
  redis.call('HSET', run, 'error', cjson.encode(error))
  end_run(id, 'failed', cjson.encode({type = 'finished', state = 'failed', error = error, schema_version = 1}), now)
  return 'failed'
end

if uptime_ms >= tonumber(lease_ms) and redis.call('EXISTS', key.hold) == 0 then
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key.leases, '-inf', '(' .. now, 'LIMIT', 0, limit)) do
    local action = take_back(id)
    if action then table.insert(reaped, {id, action}) end
  end
end

-- The score of the run of this band whose message is popped next; nil when none of the last messages is of one.
local function head_of(its)
  local head
  for _, message in ipairs(redis.call('LRANGE', its.messages, -10, -1)) do
    local ok, envelope = pcall(cjson.decode, message)
    local id = ok and type(envelope) == 'table' and type(envelope.headers) == 'table' and envelope.headers.id
    local score = type(id) == 'string' and redis.call('ZSCORE', key.queued, id)
    if score and tonumber(score) >= its.low and tonumber(score) < its.high then head = score end -- the last is the next
  end
  return head
end

-- A popped message is claimed within moments, unless its worker died in between. Since list and index have the same
-- order, the queued runs that stand before the head of their list are those whose message is gone.
local function wake_forgotten(its)
  local head = head_of(its)
  if not head and redis.call('LLEN', its.messages) > 0 then return end
  local orphans = redis.call('ZRANGEBYSCORE', key.queued, its.low, '(' .. (head or its.high), 'LIMIT', 0, limit)
  for position = #orphans, 1, -1 do -- the first in the index is pushed last, and so popped first
    local id = orphans[position]
    local record = redis.call('HMGET', key.run .. id, 'woken_ms', 'message', 'state')
    if record[3] ~= 'queued' then
      redis.call('ZREM', key.queued, id)
    elseif now - tonumber(record[1]) > tonumber(orphan_ms) then
      redis.call('RPUSH', its.messages, record[2])
      redis.call('HSET', key.run .. id, 'woken_ms', now) -- its message may be on the way to a claim
      count('woken')
      table.insert(reaped, {id, 'woken'})
    end
  end
end

if redis.call('EXISTS', key.paused) == 0 then
  for _, its in ipairs({band.high, band.normal, band.low}) do wake_forgotten(its) end
end
return reaped
