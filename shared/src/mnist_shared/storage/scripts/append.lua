-- Tell events, fenced by the token and numbered by their sender: a repeated number is not told twice, so an append whose
-- answer was lost is safe to send again. An epoch is told once per run, however many attempts reach it.
-- ARGV id token, then for each event: sequence event max_length epoch progress checkpoint
-- ('' where there is none; a max_length: live)
local id, token = unpack(ARGV)
local run = key.run .. id

local record = redis.call('HMGET', run, 'state', 'token', 'cancel_requested', 'told_by', 'told', 'told_epoch')
if record[1] ~= 'running' or record[2] ~= token then return {'stale'} end
local told = record[4] == token and tonumber(record[5]) or 0
local told_epoch = tonumber(record[6] or 0)

local function tell(sequence, event, max_length, epoch, progress, checkpoint)
  if told >= tonumber(sequence) then return end
  told = tonumber(sequence)
  if progress ~= '' then redis.call('HSET', run, 'progress', progress) end
  if checkpoint ~= '' then redis.call('HSET', run, 'checkpoint', checkpoint, 'attempts_without_checkpoint', 0) end
  if epoch ~= '' then
    if told_epoch >= tonumber(epoch) then return end
    told_epoch = tonumber(epoch)
    redis.call('HSET', run, 'told_epoch', epoch)
    count('epochs')
  end
  if max_length ~= '' then
    redis.call('XADD', key.live .. id, 'MAXLEN', '~', max_length, '*', 'event', event)
  else
    redis.call('XADD', key.events .. id, '*', 'event', event)
  end
end

for first = 3, #ARGV, 6 do tell(unpack(ARGV, first, first + 5)) end
redis.call('HSET', run, 'told_by', token, 'told', told)
return {'held', record[3] and 1 or 0}
