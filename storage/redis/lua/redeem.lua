-- redeem: gives a remembered value once.
-- KEYS     1 the value (string: token of the attempt that stored it, a blank, the value)   2 who spent it (string)
-- ARGV     1 token of the attempt   2 how long to remember who spent it (ms), longer than the value lives
-- Replies  {ok, value} · {none, ''} (there is none, or it was spent)

local by = redis.call('GET', KEYS[2])
if by and by ~= ARGV[1] then return {'none', ''} end
local stored = redis.call('GET', KEYS[1])
if not stored then return {'none', ''} end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return {'ok', string.sub(stored, string.find(stored, ' ', 1, true) + 1)}
