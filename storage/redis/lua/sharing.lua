-- sharing: the documents of the requests that may hold a right.
-- KEYS     1 holders of the right (set)
-- ARGV     1 base of the slot's keys
-- Replies  {id, doc, …}, by id
--
-- The records, base .. 'r:' .. id, are named by the set and lie in the same slot.

local docs, ids = {}, redis.call('SMEMBERS', KEYS[1])
table.sort(ids)
for _, id in ipairs(ids) do
  local doc = redis.call('HGET', ARGV[1] .. 'r:' .. id, 'doc')
  if doc then
    docs[#docs + 1] = id
    docs[#docs + 1] = doc
  end
end
return docs
