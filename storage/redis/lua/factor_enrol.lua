-- factor_enrol: begins an enrolment, in the place of any other of the person; or an act's wait for a key.
-- KEYS     1 enrolment, or act (hash)   2 events (stream)   3 the attempt, remembered (string)
-- ARGV     1 how long to remember the attempt (ms)   2 event (JSON)   3 time to live (ms)   4… field, value, …
-- Replies  ok
--
-- The hash of an enrolment: id, step, kind, sealed, link, ticket, counter, vouched, again (another was named before it),
-- strays (wrong tries). That of an act: id, sealed, strays.

if redis.call('SET', KEYS[3], '1', 'NX', 'PX', ARGV[1]) then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], unpack(ARGV, 4))
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  redis.call('XADD', KEYS[2], '*', 'e', ARGV[2])
end
return 'ok'
