-- remark: puts the same link, with another mark, in the place of one that nobody changed meanwhile.
-- KEYS     1 links (hash)
-- ARGV     1 "chat account"   2 the link as it was   3 the link as it is to be
-- Replies  ok · moved

if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 'moved' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 'ok'
