-- told: removes the first note of an errand and keeps the refs. The lease runs anew; when the last note that was handed
-- out is told, the lease ends, and a topic with later notes is due at once.
-- KEYS     1 outbox of the chat (zset)   2 notes of the topic (list)   3 state of the topic (hash, see errands.lua)
-- ARGV     1 token of the attempt   2 topic   3 fence   4 caller's clock (Unix ms)   5 how long refs are kept after the
--            last note (ms)   6 channel of nudges   7 name of the chat   8 … name and ref
-- Replies  ok · stale

local state = redis.call('HMGET', KEYS[3], 'fence', 'given', 'lease', 'token')
if state[4] == ARGV[1] then return 'ok' end
if state[1] ~= ARGV[3] or not state[2] then return 'stale' end

local now, shared = clock(ARGV[4])
redis.call('HSET', KEYS[3], 'token', ARGV[1], 'tries', '0')
for i = 8, #ARGV, 2 do
  redis.call('HSET', KEYS[3], 'r:' .. ARGV[i], ARGV[i + 1])
end
redis.call('LPOP', KEYS[2])
if redis.call('HINCRBY', KEYS[3], 'given', -1) > 0 then
  redis.call('HSET', KEYS[3], 'until', ms(shared + tonumber(state[3])))
  redis.call('ZADD', KEYS[1], ms(now + tonumber(state[3])), ARGV[2])
  return 'ok'
end
redis.call('HDEL', KEYS[3], 'given', 'lease', 'until')
if redis.call('LLEN', KEYS[2]) > 0 then
  put(KEYS[1], 'out:' .. ARGV[7], ARGV[2], ms(now), ARGV[6])
else
  redis.call('ZREM', KEYS[1], ARGV[2])
  redis.call('PEXPIRE', KEYS[3], ARGV[5])
end
return 'ok'
