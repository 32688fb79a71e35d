-- Tell an event, fenced by the token and numbered by its sender: a repeated number is not told twice, so an append
-- whose answer was lost is safe to send again. An epoch is told once per run, however many attempts reach it.
-- KEYS run stream     ARGV token sequence event max_length epoch progress checkpoint      ('' where there is none)
local run, stream = unpack(KEYS)
local token, sequence, event, max_length, epoch, progress, checkpoint = unpack(ARGV)

local record = redis.call('HMGET', run, 'state', 'token', 'cancel_requested', 'told_by', 'told', 'told_epoch')
if record[1] ~= 'running' or record[2] ~= token then return {'stale'} end
local answer = {'held', record[3] and 1 or 0}

if record[4] == token and tonumber(record[5]) >= tonumber(sequence) then return answer end
redis.call('HSET', run, 'told_by', token, 'told', sequence)

if progress ~= '' then redis.call('HSET', run, 'progress', progress) end
if checkpoint ~= '' then redis.call('HSET', run, 'checkpoint', checkpoint, 'attempts_without_checkpoint', 0) end
if epoch ~= '' then
  if tonumber(record[6] or 0) >= tonumber(epoch) then return answer end
  redis.call('HSET', run, 'told_epoch', epoch)
end
if max_length ~= '' then
  redis.call('XADD', stream, 'MAXLEN', '~', max_length, '*', 'event', event)
else
  redis.call('XADD', stream, '*', 'event', event)
end
return answer
