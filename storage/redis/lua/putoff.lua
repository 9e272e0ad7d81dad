-- putoff: gives an errand back, to be tried again later; refs of what was sent are kept.
-- KEYS     1 outbox of the chat (zset)   2 state of the topic (hash, see errands.lua)
-- ARGV     1 token of the attempt   2 topic   3 fence   4 when it is tried again (Unix ms)   5 channel of nudges
--          6 name of the chat   7 … name and ref
-- Replies  ok · stale

local state = redis.call('HMGET', KEYS[2], 'fence', 'given', 'token')
if state[3] == ARGV[1] then return 'ok' end
if state[1] ~= ARGV[3] or not state[2] then return 'stale' end

redis.call('HSET', KEYS[2], 'token', ARGV[1])
for i = 7, #ARGV, 2 do
  redis.call('HSET', KEYS[2], 'r:' .. ARGV[i], ARGV[i + 1])
end
redis.call('HINCRBY', KEYS[2], 'tries', 1)
redis.call('HDEL', KEYS[2], 'given', 'lease', 'until')
put(KEYS[1], 'out:' .. ARGV[6], ARGV[2], ARGV[4], ARGV[5])
return 'ok'
