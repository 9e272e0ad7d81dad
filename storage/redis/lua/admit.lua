-- admit: counts an act, unless as many as may be were counted within the window.
-- KEYS     1 the acts (sorted set: tokens of attempts, by the Unix ms of each)   2 that a refusal was told (string: token)
-- ARGV     1 token of the attempt   2 how many may be   3 window (ms)
-- Replies  {admitted} · {first, ms until there is room} the first refusal since there was none · {again, ms}

if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return {'admitted'} end
-- The server's clock alone, which all replicas share: nothing ends by it, so nothing need come late.
local t = redis.call('TIME')
local now, limit, window = t[1] * 1000 + math.floor(t[2] / 1000), tonumber(ARGV[2]), tonumber(ARGV[3])
local oldest = redis.call('ZREVRANGE', KEYS[1], limit - 1, limit - 1, 'WITHSCORES')[2]
-- A clock that was moved back keeps nobody waiting for longer than the window.
local wait = oldest and math.min(window, tonumber(oldest) + window - now) or 0
if wait > 0 then
  local told = redis.call('GET', KEYS[2])
  if not told then redis.call('SET', KEYS[2], ARGV[1], 'PX', ms(wait)) end
  return {(told or ARGV[1]) == ARGV[1] and 'first' or 'again', ms(wait)}
end
redis.call('ZADD', KEYS[1], ms(now), ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -limit - 1)
redis.call('PEXPIRE', KEYS[1], window)
return {'admitted'}
