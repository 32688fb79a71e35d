-- The ids of the runs that fit, the newest first, among `num` of them after the newest `first`; before them, how many
-- were looked at.
-- ARGV first num states kinds tags      (each a list between blanks, ' a b '; no word: any; of the tags, all)
local first, num, states, kinds, tags = unpack(ARGV)

local function is_one_of(word, words)
  return words == ' ' or (word and string.find(words, ' ' .. word .. ' ', 1, true))
end

local function has_all(words)
  for tag in string.gmatch(tags, '%S+') do
    if not (words and string.find(words, ' ' .. tag .. ' ', 1, true)) then return false end
  end
  return true
end

local ids = redis.call('ZREVRANGE', key.runs, first, first + num - 1)
local found = {#ids}
for _, id in ipairs(ids) do
  local record = redis.call('HMGET', key.run .. id, 'state', 'kind', 'tags')
  if is_one_of(record[1], states) and is_one_of(record[2], kinds) and has_all(record[3]) then table.insert(found, id) end
end
return found
