-- hold: takes or renews a named lease.
-- KEYS     1 the lease (string: its holder)
-- ARGV     1 holder   2 lease (ms)   3 the longest lease that anybody takes (ms)
-- Replies  ok · held
--
-- A lease without an end, or with a later one than anybody asks for, is nobody's.

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  local left = redis.call('PTTL', KEYS[1])
  if left >= 0 and left <= tonumber(ARGV[3]) then return 'held' end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 'ok'
