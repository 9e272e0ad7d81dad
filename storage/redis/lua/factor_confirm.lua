-- factor_confirm: makes an app's factor of an enrolment, in the place of any other app of the person. Their keys stay.
-- KEYS     1 factor (hash)   2 events (stream)   3 the attempt, remembered (string)   4 enrolment (hash)
-- ARGV     1 how long to remember the attempt (ms)   2 event (JSON)   3 id   4 the step the enrolment must stand at
--          5 sealed seed   6 now (Unix ms)   7 what vouches for the enrolment
-- Replies  ok · moved
--
-- The hash of a factor: id, seed (sealed), since (Unix ms), counter (the latest step whose code was taken); charged (tries
-- given out since the last right code or lock), failed (those that were wrong), row (wrong ones in a row, locks or not),
-- until (end of a lock, Unix ms), disabled; reset_by and reset_at (the administrator who asked for its removal); removed (its owner
-- has taken away the last that there was). And for each
-- security key, by its id: k: (sealed), kn: (its number), ks: (since, Unix ms), kc: (its count of signatures), kx: (suspended);
-- keys is how many there ever were, acts are those that they vouched for a while ago.

if redis.call('GET', KEYS[3]) then return 'ok' end
local e = redis.call('HMGET', KEYS[4], 'id', 'step', 'counter')
if e[1] ~= ARGV[3] or e[2] ~= ARGV[4] then return 'moved' end
if barred(KEYS[1], ARGV[7]) then return 'moved' end

redis.call('DEL', KEYS[4])
redis.call('HDEL', KEYS[1], 'charged', 'failed', 'row', 'until', 'disabled', 'reset_by', 'reset_at', 'removed')
redis.call('HSET', KEYS[1], 'id', ARGV[3], 'seed', ARGV[5], 'since', ARGV[6], 'counter', e[3] or '0')
redis.call('XADD', KEYS[2], '*', 'e', ARGV[2])
redis.call('SET', KEYS[3], '1', 'PX', ARGV[1])
return 'ok'
