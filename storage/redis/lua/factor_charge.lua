-- factor_charge: gives out one try, before anybody looks at it, so that no number of connections gets more than most.
-- KEYS     1 factor (hash)   2 the attempt, remembered (string)
-- ARGV     1 how long to remember the attempt (ms)   2 caller's clock (Unix ms)   3 most tries   4 lock (ms)
-- Replies  open · none · locked · disabled
--
-- The last try locks at once; a right code among those that are out opens the lock again (see factor_spend).

if redis.call('GET', KEYS[2]) then return 'open' end
local f = redis.call('HMGET', KEYS[1], 'id', 'until', 'disabled', 'charged')
if not f[1] then return 'none' end
if f[3] then return 'disabled' end
local now = clock(ARGV[2])
local charged = tonumber(f[4] or 0)
if f[2] then
  if now < tonumber(f[2]) then return 'locked' end
  redis.call('HDEL', KEYS[1], 'until', 'failed')
  charged = 0
end

charged = charged + 1
redis.call('HSET', KEYS[1], 'charged', charged)
if charged >= tonumber(ARGV[3]) then redis.call('HSET', KEYS[1], 'until', ms(now + tonumber(ARGV[4]))) end
redis.call('SET', KEYS[2], '1', 'PX', ARGV[1])
return 'open'
