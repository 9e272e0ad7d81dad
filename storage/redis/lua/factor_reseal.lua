-- factor_reseal: puts a seed that was sealed with another key in the place of the old one.
-- KEYS     1 factor (hash)
-- ARGV     1 id   2 seed as it must be   3 seed as it is to be
-- Replies  ok · moved

local f = redis.call('HMGET', KEYS[1], 'id', 'seed')
if f[1] == ARGV[1] and f[2] == ARGV[3] then return 'ok' end
if f[1] ~= ARGV[1] or f[2] ~= ARGV[2] then return 'moved' end
redis.call('HSET', KEYS[1], 'seed', ARGV[3])
return 'ok'
