-- relink: replaces what is known of a chat account, where nobody changed it meanwhile, and puts it on record. A person has
-- one account in a chat.
-- KEYS     1 links (hash: "chat account" → JSON)   2 accounts (hash: "person chat" → account)   3 events (stream)
--          4 the attempt, remembered (string)   5 tokens (hash: "chat account" → JSON)
-- ARGV     1 "chat account"   2 the link as it was, or nothing   3 the link as it is to be, or nothing   4 account
--          5 "person chat" as it was, or nothing   6 "person chat" as it is to be, or nothing   7 event (JSON)
--          8 how long to remember the attempt (ms)   9 the token that goes with the link, or nothing, or = to keep it
-- Replies  ok · moved (another changed it) · taken (the person has another account there)

if redis.call('EXISTS', KEYS[4]) == 1 then return 'ok' end
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 'moved' end
if ARGV[6] ~= '' then
  local has = redis.call('HGET', KEYS[2], ARGV[6])
  if has and has ~= ARGV[4] then return 'taken' end
end

redis.call('SET', KEYS[4], '1', 'PX', ARGV[8])
if ARGV[5] ~= '' and ARGV[5] ~= ARGV[6] then redis.call('HDEL', KEYS[2], ARGV[5]) end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
  if ARGV[6] ~= '' then redis.call('HSET', KEYS[2], ARGV[6], ARGV[4]) end
end
if ARGV[9] == '' then
  redis.call('HDEL', KEYS[5], ARGV[1])
elseif ARGV[9] ~= '=' then
  redis.call('HSET', KEYS[5], ARGV[1], ARGV[9])
end
redis.call('XADD', KEYS[3], '*', 'e', ARGV[7])
return 'ok'
