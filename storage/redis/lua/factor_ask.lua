-- factor_ask: notes that an administrator asks for the removal of all that a person proves things by.
-- KEYS     1 factor (hash)   2 events (stream)   3 the attempt, remembered (string)
-- ARGV     1 how long to remember the attempt (ms)   2 event (JSON)   3 id of the app (empty: there is none)   4 administrator   5 now (Unix ms)
-- Replies  ok · moved

if redis.call('GET', KEYS[3]) then return 'ok' end
if (redis.call('HGET', KEYS[1], 'id') or '') ~= ARGV[3] then return 'moved' end

redis.call('HSET', KEYS[1], 'reset_by', ARGV[4], 'reset_at', ARGV[5])
redis.call('XADD', KEYS[2], '*', 'e', ARGV[2])
redis.call('SET', KEYS[3], '1', 'PX', ARGV[1])
return 'ok'
