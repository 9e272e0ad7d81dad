-- remark: puts a link or a token in the place of one that nobody changed meanwhile.
-- KEYS     1 links or tokens (hash)
-- ARGV     1 "chat account"   2 what is there   3 what is to be there
-- Replies  ok · moved

local is = redis.call('HGET', KEYS[1], ARGV[1])
if is == ARGV[3] then return 'ok' end
if is ~= ARGV[2] then return 'moved' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 'ok'
