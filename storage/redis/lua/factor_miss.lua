-- factor_miss: counts a wrong code.
-- KEYS     1 factor (hash)   2 events (stream)   3 the attempt, remembered (string)
-- ARGV     1 how long to remember the attempt (ms)   2 to 4 events (JSON): failed, locked, disabled   5 id
--          6 caller's clock (Unix ms)   7 most tries   8 lock (ms)   9 most wrong ones in a row
-- Replies  missed · locked (by this one) · disabled (by this one) · none

local said = redis.call('GET', KEYS[3])
if said then return said end
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[5] then return 'none' end

local word = 'missed'
local failed = redis.call('HINCRBY', KEYS[1], 'failed', 1)
redis.call('XADD', KEYS[2], '*', 'e', ARGV[2])
if redis.call('HINCRBY', KEYS[1], 'row', 1) == tonumber(ARGV[9]) then
  redis.call('HSET', KEYS[1], 'disabled', '1')
  redis.call('XADD', KEYS[2], '*', 'e', ARGV[4])
  word = 'disabled'
elseif failed == tonumber(ARGV[7]) then
  redis.call('HSET', KEYS[1], 'until', ms(clock(ARGV[6]) + tonumber(ARGV[8])))
  redis.call('XADD', KEYS[2], '*', 'e', ARGV[3])
  word = 'locked'
end
redis.call('SET', KEYS[3], word, 'PX', ARGV[1])
return word
