-- drop: gives a named lease up, where the holder still has it.
-- KEYS     1 the lease (string: its holder)
-- ARGV     1 holder
-- Replies  ok

if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 'ok'
