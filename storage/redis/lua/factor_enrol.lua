-- factor_enrol: begins an enrolment, in the place of any other of the person.
-- KEYS     1 enrolment (hash)   2 events (stream)   3 the attempt, remembered (string)
-- ARGV     1 how long to remember the attempt (ms)   2 event (JSON)   3 time to live (ms)   4… field, value, …
-- Replies  ok
--
-- The hash of an enrolment: id, step, sealed, link, ticket, counter, vouched, strays (wrong tries).

if redis.call('SET', KEYS[3], '1', 'NX', 'PX', ARGV[1]) then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], unpack(ARGV, 4))
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  redis.call('XADD', KEYS[2], '*', 'e', ARGV[2])
end
return 'ok'
