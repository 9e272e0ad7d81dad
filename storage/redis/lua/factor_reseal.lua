-- factor_reseal: puts a seed or a key that was sealed with another key in the place of the old one.
-- KEYS     1 factor (hash)
-- ARGV     1 id   2 what is sealed, as it must be   3 as it is to be
-- Replies  ok · moved

local field = 'k:' .. ARGV[1]
if redis.call('HGET', KEYS[1], 'id') == ARGV[1] then field = 'seed' end
local sealed = redis.call('HGET', KEYS[1], field)
if sealed == ARGV[3] then return 'ok' end
if sealed ~= ARGV[2] then return 'moved' end
redis.call('HSET', KEYS[1], field, ARGV[3])
return 'ok'
