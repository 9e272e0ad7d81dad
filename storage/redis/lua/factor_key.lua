-- factor_key: makes a security key of an enrolment, beside what the person has.
-- KEYS     1 factor (hash)   2 events (stream)   3 the attempt, remembered (string)   4 enrolment (hash)
-- ARGV     1 how long to remember the attempt (ms)   2 event (JSON)   3 id   4 the step the enrolment must stand at
--          5 sealed key   6 now (Unix ms)   7 what vouches for the enrolment
-- Replies  ok · moved

if redis.call('GET', KEYS[3]) then return 'ok' end
local e = redis.call('HMGET', KEYS[4], 'id', 'step', 'counter')
if e[1] ~= ARGV[3] or e[2] ~= ARGV[4] then return 'moved' end
if barred(KEYS[1], ARGV[7]) then return 'moved' end

local number = redis.call('HINCRBY', KEYS[1], 'keys', 1)
redis.call('DEL', KEYS[4])
redis.call('HDEL', KEYS[1], 'reset_by', 'reset_at', 'removed')
redis.call('HSET', KEYS[1], 'k:' .. ARGV[3], ARGV[5], 'kn:' .. ARGV[3], number, 'ks:' .. ARGV[3], ARGV[6], 'kc:' .. ARGV[3], e[3] or '0')
redis.call('XADD', KEYS[2], '*', 'e', ARGV[2])
redis.call('SET', KEYS[3], '1', 'PX', ARGV[1])
return 'ok'
