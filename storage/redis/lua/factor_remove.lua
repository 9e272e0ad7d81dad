-- factor_remove: takes a factor away, and an enrolment that is under way.
-- KEYS     1 factor (hash)   2 events (stream)   3 the attempt, remembered (string)   4 enrolment (hash)
-- ARGV     1 how long to remember the attempt (ms)   2 event (JSON)   3 id   4 who must have asked for it (empty: nobody)
-- Replies  ok · moved

if redis.call('GET', KEYS[3]) then return 'ok' end
local f = redis.call('HMGET', KEYS[1], 'id', 'reset_by')
if f[1] ~= ARGV[3] or ARGV[4] ~= '' and f[2] ~= ARGV[4] then return 'moved' end

redis.call('DEL', KEYS[1], KEYS[4])
redis.call('XADD', KEYS[2], '*', 'e', ARGV[2])
redis.call('SET', KEYS[3], '1', 'PX', ARGV[1])
return 'ok'
