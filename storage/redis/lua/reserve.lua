-- reserve: takes one of a number of places.
-- KEYS     1 the places (sorted set: who holds each, by the Unix ms since when)
-- ARGV     1 who   2 how many places there are   3 for how long an unused set is kept (ms)
-- Replies  {reserved} · {full, who, since, who, since …}

if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then
    local reply = {'full'}
    for i, item in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')) do
      reply[i + 1] = i % 2 == 0 and ms(item) or item
    end
    return reply
  end
  local t = redis.call('TIME')
  redis.call('ZADD', KEYS[1], ms(t[1] * 1000 + math.floor(t[2] / 1000)), ARGV[1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'reserved'}
