-- factor_clear: takes away all that a person proves things by, in whatever state it is, and an enrolment that is under way.
-- KEYS     1 factor (hash)   2 events (stream)   3 the attempt, remembered (string)   4 enrolment (hash)
-- ARGV     1 how long to remember the attempt (ms)   2 event (JSON)
-- Replies  ok · none (there is no app and no key)

if redis.call('GET', KEYS[3]) then return 'ok' end
if not proves(KEYS[1]) then return 'none' end

empty(KEYS[1])
redis.call('DEL', KEYS[4])
redis.call('XADD', KEYS[2], '*', 'e', ARGV[2])
redis.call('SET', KEYS[3], '1', 'PX', ARGV[1])
return 'ok'
