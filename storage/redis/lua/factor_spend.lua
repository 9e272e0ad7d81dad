-- factor_spend: takes the code of a step, once, and none of an earlier step after it.
-- KEYS     1 factor (hash)   2 events (stream)   3 the attempt, remembered (string)
-- ARGV     1 how long to remember the attempt (ms)   2 event (JSON)   3 id   4 the code's step   5 most tries
-- Replies  accepted · used · none
--
-- A code that was used gives its try back: it was no guess. The count of wrong ones stays.

local said = redis.call('GET', KEYS[3])
if said then return said end
local f = redis.call('HMGET', KEYS[1], 'id', 'counter', 'charged', 'disabled')
if f[1] ~= ARGV[3] or f[4] then return 'none' end

local word = 'accepted'
if tonumber(ARGV[4]) <= tonumber(f[2]) then
  word = 'used'
  local charged = math.max(0, tonumber(f[3] or 0) - 1)
  redis.call('HSET', KEYS[1], 'charged', charged)
  if charged < tonumber(ARGV[5]) then redis.call('HDEL', KEYS[1], 'until') end
else
  redis.call('HSET', KEYS[1], 'counter', ARGV[4], 'charged', '0')
  redis.call('HDEL', KEYS[1], 'until', 'failed', 'row', 'reset_by', 'reset_at')
  redis.call('XADD', KEYS[2], '*', 'e', ARGV[2])
end
redis.call('SET', KEYS[3], word, 'PX', ARGV[1])
return word
