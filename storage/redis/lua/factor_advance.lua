-- factor_advance: moves an enrolment on by one step.
-- KEYS     1 enrolment (hash)   2 events (stream)   3 the attempt, remembered (string)
-- ARGV     1 how long to remember the attempt (ms)   2 event (JSON)   3 time to live (ms; 0: as before)   4 id
--          5 the step it must stand at   6… field, value, …
-- Replies  ok · moved

if redis.call('GET', KEYS[3]) then return 'ok' end
local stands = redis.call('HMGET', KEYS[1], 'id', 'step')
if stands[1] ~= ARGV[4] or stands[2] ~= ARGV[5] then return 'moved' end

redis.call('HSET', KEYS[1], unpack(ARGV, 6))
if tonumber(ARGV[3]) > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
redis.call('XADD', KEYS[2], '*', 'e', ARGV[2])
redis.call('SET', KEYS[3], '1', 'PX', ARGV[1])
return 'ok'
