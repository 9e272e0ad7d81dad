-- hold: takes or renews a named lease.
-- KEYS     1 the lease (string: its holder)
-- ARGV     1 holder   2 lease (ms)
-- Replies  ok · held

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 'held' end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 'ok'
