-- append: records an event that belongs to no arrow, once per attempt.
-- KEYS     1 events (stream)   2 the attempt, remembered (string)
-- ARGV     1 event (JSON)   2 how long to remember the attempt (ms)
-- Replies  ok

if redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[2]) then
  redis.call('XADD', KEYS[1], '*', 'e', ARGV[1])
end
return 'ok'
