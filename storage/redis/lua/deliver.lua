-- deliver: records what somebody did in a chat, once per key.
-- KEYS     1 inbox of the chat (zset)   2 the delivery (hash)   3 the key, remembered (string)
-- ARGV     1 token of the attempt   2 key   3 payload   4 caller's clock (Unix ms)   5 how long to remember (ms)
--          6 channel of nudges   7 name of the chat
-- Replies  ok · known
--
-- The hash of a delivery: payload, fence (how often it was claimed), token, until (end of the lease by the clock of leases, Unix ms).

local token = redis.call('GET', KEYS[3]) or redis.call('HGET', KEYS[2], 'token')
if token then return token == ARGV[1] and 'ok' or 'known' end

redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[5])
redis.call('HSET', KEYS[2], 'payload', ARGV[3], 'token', ARGV[1])
put(KEYS[1], 'in:' .. ARGV[7], ARGV[2], ms(clock(ARGV[4])), ARGV[6])
return 'ok'
