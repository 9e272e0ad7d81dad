-- factor_sign: takes a key's signature for the act that waits for it, once.
-- KEYS     1 factor (hash)   2 events (stream)   3 the attempt, remembered (string)   4 the act (hash)
-- ARGV     1 how long to remember the attempt (ms)   2 to 4 events (JSON): used, cloned, failed   5 id of the key
--          6 how often the key has signed, by its own count   7 the act   8 caller's clock (Unix ms)   9 how long to remember the act (ms)
-- Replies  accepted · used · none · cloned (and suspended by it)
--
-- A key that counts must have counted on. One that does not says 0 each time. Acts that were vouched for are noted beside the
-- keys, as "act=until act=until": what somebody puts back of an act counts no second time.

local said = redis.call('GET', KEYS[3])
if said then return said end
local k = redis.call('HMGET', KEYS[1], 'k:' .. ARGV[5], 'kx:' .. ARGV[5], 'kc:' .. ARGV[5])
local now, vouched = clock(ARGV[8]), ''
for act, till in string.gmatch(redis.call('HGET', KEYS[1], 'acts') or '', '(%w+)=(%d+)') do
  if tonumber(till) > now then vouched = vouched .. act .. '=' .. till .. ' ' end
end
local word = 'accepted'
if redis.call('EXISTS', KEYS[4]) == 0 or string.find(vouched, ARGV[7] .. '=', 1, true) then
  word = 'used'
elseif not k[1] or k[2] then
  word = 'none'
elseif tonumber(ARGV[6]) <= tonumber(k[3]) and (tonumber(ARGV[6]) > 0 or tonumber(k[3]) > 0) then
  word = 'cloned'
end

local event = ARGV[4]
if word == 'accepted' then
  event = ARGV[2]
  redis.call('HSET', KEYS[1], 'kc:' .. ARGV[5], ARGV[6], 'acts', vouched .. ARGV[7] .. '=' .. ms(now + tonumber(ARGV[9])))
  redis.call('HDEL', KEYS[1], 'reset_by', 'reset_at')
elseif word == 'cloned' then
  event = ARGV[3]
  redis.call('HSET', KEYS[1], 'kx:' .. ARGV[5], '1')
end
redis.call('DEL', KEYS[4])
redis.call('XADD', KEYS[2], '*', 'e', event)
redis.call('SET', KEYS[3], word, 'PX', ARGV[1])
return word
