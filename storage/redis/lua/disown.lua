-- disown: takes a record that is not ours away from where it is worked and listed, and keeps it aside for a while.
-- KEYS     1 record (hash)   2 where it is kept   3 all (zset)   4 open (zset)   5 overdue (set)
-- ARGV     1 id   2 the document that was found to be none of ours   3 how long it is kept (ms)
-- Replies  ok · moved
--
-- Its timers go when they come due, as those of any record that is not there.

if redis.call('HGET', KEYS[1], 'doc') ~= ARGV[2] then return 'moved' end
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('SREM', KEYS[5], ARGV[1])
return 'ok'
