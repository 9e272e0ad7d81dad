-- remember: replaces a value.
-- KEYS     1 the value (string: token of the attempt, a blank, the value)
-- ARGV     1 token of the attempt   2 value   3 time to live (ms)
-- Replies  ok

redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2], 'PX', ARGV[3])
return 'ok'
