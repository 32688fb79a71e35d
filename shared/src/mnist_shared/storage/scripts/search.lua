-- The ids of the runs that fit, the newest first, among `num` of them after the newest `first`, each followed by the
-- values of its `fields`; before them all, how many were looked at.
-- ARGV first num states kinds tags without fields
-- (each a list between blanks, ' a b '; no word: any; of `tags` a run has all, of `without` none)
local first, num, states, kinds, tags, without, fields = unpack(ARGV)

local function is_one_of(word, words)
  return words == ' ' or (word and string.find(words, ' ' .. word .. ' ', 1, true))
end

local function num_common(words, others)
  local count = 0
  for word in string.gmatch(words, '%S+') do
    if others and string.find(others, ' ' .. word .. ' ', 1, true) then count = count + 1 end
  end
  return count
end

local _, num_tags = string.gsub(tags, '%S+', '')
local wanted = {'state', 'kind', 'tags'}
for field in string.gmatch(fields, '%S+') do table.insert(wanted, field) end

local ids = redis.call('ZREVRANGE', key.runs, first, first + num - 1)
local found = {#ids}
for _, id in ipairs(ids) do
  local record = redis.call('HMGET', key.run .. id, unpack(wanted))
  if is_one_of(record[1], states) and is_one_of(record[2], kinds)
    and num_common(tags, record[3]) == num_tags and num_common(without, record[3]) == 0 then
    table.insert(found, id)
    for place = 4, #wanted do table.insert(found, record[place]) end
  end
end
return found
