-- deliveries: leases deliveries of a chat that nobody has worked yet, the oldest first.
-- KEYS     1 inbox of the chat (zset)
-- ARGV     1 base of the chat's deliveries: each is the hash base .. key (see deliver.lua)
--          2 caller's clock (Unix ms)   3 lease (ms)   4 limit
-- Replies  {when the earliest that is left is due (Unix ms) or "", "more" where that is now or "", {key, fence, payload}, …}
--
-- The hashes are named by the members of the inbox and lie in the same slot.

local now, shared = clock(ARGV[2])
local lease = tonumber(ARGV[3])
local given = {}
for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ms(now), 'LIMIT', 0, tonumber(ARGV[4]))) do
  local delivery = redis.call('HMGET', ARGV[1] .. key, 'payload', 'until')
  local left = tonumber(delivery[2] or '0') - shared
  if not delivery[1] then
    redis.call('ZREM', KEYS[1], key)
  elseif left > 0 then -- its holder's clock is behind ours
    redis.call('ZADD', KEYS[1], ms(now + left), key)
  else
    redis.call('ZADD', KEYS[1], ms(now + lease), key)
    redis.call('HSET', ARGV[1] .. key, 'until', ms(shared + lease))
    given[#given + 1] = {key, ms(redis.call('HINCRBY', ARGV[1] .. key, 'fence', 1)), delivery[1]}
  end
end

return answer(KEYS[1], now, given)
