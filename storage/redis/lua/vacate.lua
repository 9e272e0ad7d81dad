-- vacate: gives places back.
-- KEYS     1 the places (see reserve)
-- ARGV     who holds them
-- Replies  ok

redis.call('ZREM', KEYS[1], unpack(ARGV))
return 'ok'
