-- offer: keeps a value for whoever says a word, in place of the one before it.
-- KEYS     1 the offer (hash: token, word, value, left, attempt, answer)
-- ARGV     1 token of the attempt   2 hash of the word   3 value   4 tries   5 time to live (ms)
-- Replies  ok

if redis.call('HGET', KEYS[1], 'token') == ARGV[1] then return 'ok' end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'token', ARGV[1], 'word', ARGV[2], 'value', ARGV[3], 'left', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 'ok'
