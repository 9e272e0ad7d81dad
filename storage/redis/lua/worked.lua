-- worked: removes a delivery, whoever holds it. Its key stays remembered.
-- KEYS     1 inbox of the chat (zset)   2 the delivery (hash)
-- ARGV     1 key
-- Replies  ok

redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2])
return 'ok'
