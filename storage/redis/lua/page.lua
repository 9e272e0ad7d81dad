-- page: documents of an index, newest submission first, from a place on, that pass a filter.
-- KEYS     1 index (zset: id by time of submission)
-- ARGV     1 base of the slot's keys   2 submitted (Unix ms) and 3 id of the last one seen; "" and "" from the start
--          4 submitted at or after (Unix ms)   5 how many   6 role or ""   7 states, between commas, or ""
-- Replies  {"more" or "done", submitted and id of the last one looked at, {submitted, id, doc}, …}
--
-- The records, base .. 'r:' .. id, are named by the index and lie in the same slot.

local MOST_LOOKED_AT, CHUNK = 1000, 100

local base, since, want, role, states = ARGV[1], ARGV[4], tonumber(ARGV[5]), ARGV[6], ARGV[7]
local at, last = ARGV[2], ARGV[3]
local reply, looked, offset = {}, 0, 0

local function passes(rec)
  return rec[1] and (role == '' or rec[2] == role) and (states == '' or string.find(states, ',' .. rec[3] .. ',', 1, true))
end

local top = at == '' and '+inf' or at
local word = 'more'
while looked < MOST_LOOKED_AT and #reply < want and word == 'more' do
  local found = redis.call('ZREVRANGEBYSCORE', KEYS[1], top, since, 'WITHSCORES', 'LIMIT', offset, CHUNK)
  if #found < 2 * CHUNK then word = 'done' end
  offset = offset + CHUNK
  for i = 1, #found, 2 do
    local id, submitted = found[i], ms(found[i + 1])
    local new = submitted ~= ARGV[2] or id < ARGV[3]
    if new and #reply < want then
      looked, at, last = looked + 1, submitted, id
      local rec = redis.call('HMGET', base .. 'r:' .. id, 'doc', 'role', 'state')
      if passes(rec) then reply[#reply + 1] = {submitted, id, rec[1]} end
    elseif new then
      word = 'more'
    end
  end
end
table.insert(reply, 1, last)
table.insert(reply, 1, at)
table.insert(reply, 1, word)
return reply
