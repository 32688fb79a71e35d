-- How many runs are in each state, among `num` of them after the newest `first`: how many were looked at, and then
-- state, number, state, number, ...
-- ARGV first num
local first, num = unpack(ARGV)
local ids = redis.call('ZREVRANGE', key.runs, first, first + num - 1)
local counts = {}
for _, id in ipairs(ids) do
  local state = redis.call('HGET', key.run .. id, 'state')
  if state then counts[state] = (counts[state] or 0) + 1 end
end
local found = {#ids}
for state, number in pairs(counts) do
  table.insert(found, state)
  table.insert(found, number)
end
return found
