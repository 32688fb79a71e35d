-- Stands before every script, after `key` and `band`, which storage/keys.py writes. Redis runs a script as one atomic
-- step, and TIME is the only clock anybody trusts.

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Events that a script itself tells. Their time is the stream id.
local function emit(id, event)
  event.schema_version = 1
  redis.call('XADD', key.events .. id, '*', 'event', cjson.encode(event))
end

-- What has happened since the first day, for whoever draws curves of it. No decision hangs on it.
local function count(what)
  redis.call('HINCRBY', key.counters, what, 1)
end

-- ---- the queue ------------------------------------------------------------------------------------------------------
-- Each priority has a list of messages and a band of scores in the queued index, both in the same order. So a run's
-- rank is its place in the queue, and a run before the head of its list has lost its message.

local function band_of(id)
  return band[redis.call('HGET', key.run .. id, 'priority') or 'normal']
end

local function queue_at(id, score, push, now)
  redis.call('HSET', key.run .. id, 'state', 'queued', 'queued_ms', now, 'woken_ms', now)
  redis.call('ZADD', key.queued, score, id)
  redis.call(push, band_of(id).messages, redis.call('HGET', key.run .. id, 'message'))
end

-- Behind all that wait with its priority.
local function queue_last(id, now)
  queue_at(id, band_of(id).middle + redis.call('INCR', key.sequence), 'LPUSH', now)
end

-- Before all that wait with its priority.
local function queue_first(id, now)
  local its = band_of(id)
  local first = redis.call('ZRANGEBYSCORE', key.queued, its.low, '(' .. its.high, 'WITHSCORES', 'LIMIT', 0, 1)
  queue_at(id, first[2] and tonumber(first[2]) - 1 or its.middle, 'RPUSH', now)
end

-- An attempt that ended in an orderly way is no charge against its run.
local function uncharge(run)
  if tonumber(redis.call('HGET', run, 'attempts_without_checkpoint')) > 0 then
    redis.call('HINCRBY', run, 'attempts_without_checkpoint', -1)
  end
end

-- ---- the end of a run -----------------------------------------------------------------------------------------------

-- The last transition. The live stream is of no use any more, but a follower may still be reading it.
local function close(id, state, event, now)
  local run = key.run .. id
  redis.call('ZREM', key.queued, id)
  redis.call('ZREM', key.leases, id)
  redis.call('HSET', run, 'state', state, 'finished_ms', now)
  redis.call('HDEL', run, 'token')
  redis.call('EXPIRE', key.live .. id, 60)
  redis.call('XADD', key.events .. id, '*', 'event', event)
  count(state)
end

-- The run no longer waits for another one.
local function unblock(id)
  local run = key.run .. id
  local parent = redis.call('HGET', run, 'waits_for')
  if parent then
    redis.call('HDEL', run, 'waits_for')
    redis.call('SREM', key.blocked, id)
    redis.call('ZREM', key.dependents .. parent, id)
  end
  return parent
end

-- End a run whose last event is `event` (JSON), and do with those that wait for it what they asked for: after a success
-- they are queued; otherwise they are cancelled, and so are those that wait for them.
local function end_run(id, state, event, now)
  close(id, state, event, now)
  if state == 'succeeded' then
    local fingerprint = redis.call('HGET', key.run .. id, 'fingerprint')
    if fingerprint then redis.call('HSET', key.fingerprints, fingerprint, id) end
    for _, child in ipairs(redis.call('ZRANGE', key.dependents .. id, 0, -1)) do
      unblock(child)
      queue_last(child, now)
    end
    return
  end
  local ended = {id}
  while #ended > 0 do
    local parent = table.remove(ended)
    local record = redis.call('HMGET', key.run .. parent, 'name', 'state')
    local error = {
      schema_version = 1, kind = 'DependencyFailed', attempt = 0, details = '',
      message = 'Run ' .. (record[1] or parent) .. ', which this one was to follow, has ' ..
        (record[2] == 'failed' and 'failed.' or 'been cancelled.'),
      hint = 'See `mnist-client status ' .. parent .. '`, and submit this run again after one that succeeds.',
    }
    for _, child in ipairs(redis.call('ZRANGE', key.dependents .. parent, 0, -1)) do
      unblock(child)
      redis.call('HSET', key.run .. child, 'error', cjson.encode(error))
      local last = {type = 'finished', state = 'cancelled', error = error, schema_version = 1}
      close(child, 'cancelled', cjson.encode(last), now)
      table.insert(ended, child)
    end
  end
end

local function cancel_run(id, now)
  unblock(id)
  end_run(id, 'cancelled', cjson.encode({type = 'finished', state = 'cancelled', schema_version = 1}), now)
end

-- ---- names ----------------------------------------------------------------------------------------------------------

-- The id of the run that is called so.
local function bearer(name)
  local word = string.lower(name)
  local found = redis.call('ZRANGEBYLEX', key.names, '[' .. word .. ':', '(' .. word .. ';', 'LIMIT', 0, 1)
  return found[1] and string.sub(found[1], #word + 2)
end

-- `name`, or with the first number behind it that makes it free.
local function free_name(name)
  local free, number = name, 2
  while bearer(free) do
    free, number = string.sub(name, 1, 56) .. '-' .. number, number + 1 -- a name has 63 characters at most
  end
  return free
end

-- Enter a new record into the indexes of what is known. `parents` are the runs it was made from.
local function index(id, name, parents, submitted_ms)
  redis.call('ZADD', key.ids, 0, id)
  redis.call('ZADD', key.runs, submitted_ms, id)
  redis.call('ZADD', key.names, 0, string.lower(name) .. ':' .. id)
  for parent in string.gmatch(parents, '%x+') do
    redis.call('ZADD', key.children .. parent, submitted_ms, id)
  end
end
