-- present: notes that somebody is there, and gives all who were there lately.
-- KEYS     1 who is there (sorted set: by the Unix ms of their last word)
-- ARGV     1 who   2 for how long a word counts (ms)
-- Replies  {who, …}

local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ms(now - ARGV[2]))
redis.call('ZADD', KEYS[1], ms(now), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZRANGE', KEYS[1], 0, -1)
