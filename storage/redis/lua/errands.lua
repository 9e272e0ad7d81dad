-- errands: leases topics of a chat that have notes to tell, the one that waits longest first.
-- KEYS     1 outbox of the chat (zset: topic by when it is due)
-- ARGV     1 base of the chat's keys: the notes of a topic are in the list base .. 'q:' .. topic, its state in the hash
--            base .. 't:' .. topic   2 caller's clock (Unix ms)   3 lease (ms)   4 limit   5 most notes of a topic
-- Replies  {when the earliest that is left is due (Unix ms) or "", "more" where that is now or "", {topic, fence, tries, {note, …}, {name, ref, …}}, …}
--
-- Lists and hashes are named by the members of the outbox and lie in the same slot. The hash of a topic: fence, tries,
-- given (notes handed out and not told yet, while it is leased), lease (ms), until (its end by the clock of leases, Unix ms),
-- token of the last report, r:<name> for refs.

local now, shared = clock(ARGV[2])
local lease = tonumber(ARGV[3])

-- refs gives the names and refs in the hash of a topic, by name.
local function refs(state)
  local names, ref, out = {}, {}, {}
  for i = 1, #state, 2 do
    if string.sub(state[i], 1, 2) == 'r:' then
      names[#names + 1] = string.sub(state[i], 3)
      ref[names[#names]] = state[i + 1]
    end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    out[#out + 1] = name
    out[#out + 1] = ref[name]
  end
  return out
end

local given = {}
for _, topic in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ms(now), 'LIMIT', 0, tonumber(ARGV[4]))) do
  local notes = redis.call('LRANGE', ARGV[1] .. 'q:' .. topic, 0, tonumber(ARGV[5]) - 1)
  local key = ARGV[1] .. 't:' .. topic
  local left = tonumber(redis.call('HGET', key, 'until') or '0') - shared
  if #notes == 0 then
    redis.call('ZREM', KEYS[1], topic)
  elseif left > 0 then -- its holder's clock is behind ours
    redis.call('ZADD', KEYS[1], ms(now + left), topic)
  else
    local fence = redis.call('HINCRBY', key, 'fence', 1)
    redis.call('HSET', key, 'given', #notes, 'lease', ARGV[3], 'until', ms(shared + lease))
    redis.call('PERSIST', key)
    redis.call('ZADD', KEYS[1], ms(now + lease), topic)
    local tries = redis.call('HGET', key, 'tries') or '0'
    given[#given + 1] = {topic, ms(fence), tries, notes, refs(redis.call('HGETALL', key))}
  end
end

return answer(KEYS[1], now, given)
