-- Stands before every script. Redis runs a script as one atomic step, and TIME is the only clock anybody trusts.

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Events that a script itself tells. Their time is the stream id.
local function emit(stream, event)
  event.schema_version = 1
  redis.call('XADD', stream, '*', 'event', cjson.encode(event))
end

-- Put a run before all that wait. The list of messages and the queued index keep the same order, so that a run's
-- rank is its place in the queue, and a run before the list's head has lost its message.
local function requeue_first(run, id, queued, queue, now)
  local first = redis.call('ZRANGE', queued, 0, 0, 'WITHSCORES')
  local score = first[2] and tonumber(first[2]) - 1 or 0
  redis.call('HSET', run, 'state', 'queued', 'queued_ms', now, 'woken_ms', now)
  redis.call('ZADD', queued, score, id)
  redis.call('RPUSH', queue, redis.call('HGET', run, 'message'))
end

-- A run's last transition. The live stream is of no use any more, but a follower may still be reading it.
local function close(run, live, state, now)
  redis.call('HSET', run, 'state', state, 'finished_ms', now)
  redis.call('HDEL', run, 'token')
  redis.call('EXPIRE', live, 60)
end
