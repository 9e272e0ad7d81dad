-- enqueue: adds a note on a topic for some chats, once per topic and key.
-- KEYS     1 keys used on the topic (hash)   2, 3 … for each chat: its outbox (zset), the topic's notes (list)
-- ARGV     1 token of the attempt   2 topic   3 key   4 note (JSON)   5 caller's clock (Unix ms)
--          6 how long keys are remembered after the last use (ms)   7 channel of nudges   8 … name of each chat
-- Replies  ok · used

local token = redis.call('HGET', KEYS[1], ARGV[3])
if token then return token == ARGV[1] and 'ok' or 'used' end

redis.call('HSET', KEYS[1], ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
local now = ms(clock(ARGV[5]))
for i = 1, (#KEYS - 1) / 2 do
  redis.call('RPUSH', KEYS[2 * i + 1], ARGV[4])
  if redis.call('ZADD', KEYS[2 * i], 'NX', now, ARGV[2]) == 1 then
    redis.call('PUBLISH', ARGV[7], 'out:' .. ARGV[7 + i])
  end
end
return 'ok'
