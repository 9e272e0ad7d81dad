-- factor_stray: counts a wrong try at an enrolment, or at an act that waits for a key, and ends it after most of them.
-- KEYS     1 enrolment, or act (hash)   2 events (stream)   3 the attempt, remembered (string)
-- ARGV     1 how long to remember the attempt (ms)   2 event (JSON)   3 id   4 most
-- Replies  ok · over

local said = redis.call('GET', KEYS[3])
if said then return said end
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[3] then return 'over' end

local word = 'ok'
if redis.call('HINCRBY', KEYS[1], 'strays', 1) >= tonumber(ARGV[4]) then
  redis.call('DEL', KEYS[1])
  word = 'over'
end
redis.call('XADD', KEYS[2], '*', 'e', ARGV[2])
redis.call('SET', KEYS[3], word, 'PX', ARGV[1])
return word
