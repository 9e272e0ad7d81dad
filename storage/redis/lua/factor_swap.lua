-- factor_swap: replaces hashes of factors that nobody changed meanwhile, with the events of it.
-- KEYS     1 events (stream)   2 the attempt, remembered (string)   3… hashes
-- ARGV     1 how long to remember the attempt (ms)   2 the word to answer with   3 number of events   4… events (JSON)
--          then for each hash: version and mark that it must have (empty: none), time to live (ms; 0: for ever), number of
--          fields and values (0: it is removed; -1: it stays as it is), and these
-- Replies  the word · raced (another changed one of them)

local said = redis.call('GET', KEYS[2])
if said then return said end
local at = 4 + tonumber(ARGV[3])
local from = {}
for i = 3, #KEYS do
  from[i] = at
  local is = redis.call('HMGET', KEYS[i], 'ver', 'mark')
  if (is[1] or '') ~= ARGV[at] or (is[2] or '') ~= ARGV[at + 1] then return 'raced' end
  at = at + 4 + math.max(0, tonumber(ARGV[at + 3]))
end

for i = 3, #KEYS do
  local first, count = from[i] + 4, tonumber(ARGV[from[i] + 3])
  if count >= 0 then redis.call('DEL', KEYS[i]) end
  if count > 0 then
    redis.call('HSET', KEYS[i], unpack(ARGV, first, first + count - 1))
    if tonumber(ARGV[from[i] + 2]) > 0 then redis.call('PEXPIRE', KEYS[i], ARGV[from[i] + 2]) end
  end
end
for i = 4, 3 + tonumber(ARGV[3]) do
  redis.call('XADD', KEYS[1], '*', 'e', ARGV[i])
end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[1])
return ARGV[2]
