-- once: stores a value where there is none, and gives what is stored.
-- KEYS     1 the value (string: token of the attempt, a blank, the value)
-- ARGV     1 token of the attempt   2 value   3 time to live (ms)
-- Replies  {first, value} · {kept, value}

local stored = redis.call('GET', KEYS[1])
if not stored then
  redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2], 'PX', ARGV[3])
  return {'first', ARGV[2]}
end
local blank = string.find(stored, ' ', 1, true)
local ours = string.sub(stored, 1, blank - 1) == ARGV[1]
return {ours and 'first' or 'kept', string.sub(stored, blank + 1)}
