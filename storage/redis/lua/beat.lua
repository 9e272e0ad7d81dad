-- beat: a write for a WAIT to wait for.
-- KEYS     1 beat (string)
-- Replies  ok

redis.call('INCR', KEYS[1])
return 'ok'
