-- factor_remove: takes an app's factor or a key away, or all there is, and an enrolment that is under way. Where its owner takes
-- the last one away, that stays on record: no sign-in makes another then.
-- KEYS     1 factor (hash)   2 events (stream)   3 the attempt, remembered (string)   4 enrolment (hash)
-- ARGV     1 how long to remember the attempt (ms)   2 event (JSON)   3 id (for all there is: the app's, or empty)
--          4 who must have asked for all of it to go (empty: nobody, and one thing goes)
-- Replies  ok · moved

if redis.call('GET', KEYS[3]) then return 'ok' end
local f = redis.call('HMGET', KEYS[1], 'id', 'reset_by', 'k:' .. ARGV[3])
if ARGV[4] ~= '' then
  if (f[1] or '') ~= ARGV[3] or f[2] ~= ARGV[4] then return 'moved' end
  empty(KEYS[1])
elseif f[1] == ARGV[3] then
  redis.call('HDEL', KEYS[1], 'id', 'seed', 'since', 'counter', 'charged', 'failed', 'row', 'until', 'disabled', 'reset_by', 'reset_at')
elseif f[3] then
  redis.call('HDEL', KEYS[1], 'k:' .. ARGV[3], 'kn:' .. ARGV[3], 'ks:' .. ARGV[3], 'kc:' .. ARGV[3], 'kx:' .. ARGV[3], 'reset_by', 'reset_at')
else
  return 'moved'
end
if ARGV[4] == '' and not proves(KEYS[1]) then redis.call('HSET', KEYS[1], 'removed', '1') end

redis.call('DEL', KEYS[4])
redis.call('XADD', KEYS[2], '*', 'e', ARGV[2])
redis.call('SET', KEYS[3], '1', 'PX', ARGV[1])
return 'ok'
