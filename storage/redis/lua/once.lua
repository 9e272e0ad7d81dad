-- once: stores a value where there is none, and gives what is stored.
-- KEYS     1 the value (string: token of the attempt, a blank, the value)
-- ARGV     1 token of the attempt   2 value   3 time to live (ms)   4 if given, a value that gives way
-- Replies  {first, value} · {kept, value}

local stored = redis.call('GET', KEYS[1])
local blank = stored and string.find(stored, ' ', 1, true) or 0
local kept = stored and string.sub(stored, blank + 1)
if not stored or kept == ARGV[4] then
  redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2], 'PX', ARGV[3])
  return {'first', ARGV[2]}
end
local ours = string.sub(stored, 1, blank - 1) == ARGV[1]
return {ours and 'first' or 'kept', kept}
