-- renew: prolongs the lease on a timer, and with it the hold on the right.
-- KEYS     1 record (hash)   2 lane (zset)   3 busy (hash)
-- ARGV     1 timer   2 id   3 fence   4 caller's clock (Unix ms)   5 lease (ms)
-- Replies  ok · stale

local timer, id, fence = ARGV[1], ARGV[2], ARGV[3]
local rec = redis.call('HMGET', KEYS[1], 'f:' .. timer, 'c:' .. timer, 'right')
if rec[1] ~= fence or not rec[2] then return 'stale' end

local until_ = ms(clock(ARGV[4]) + tonumber(ARGV[5]))
local member = timer .. '|' .. id
redis.call('HSET', KEYS[1], 'c:' .. timer, until_)
redis.call('ZADD', KEYS[2], until_, member)
local _, owner = busy(KEYS[3], rec[3])
if owner == member .. '|' .. fence then
  redis.call('HSET', KEYS[3], rec[3], until_ .. '|' .. owner)
end
return 'ok'
