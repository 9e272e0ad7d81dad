-- guess: gives the value of an offer to whoever says its word, once, while tries are left.
-- KEYS     1 the offer (hash)
-- ARGV     1 token of the attempt   2 hash of the word that was said
-- Replies  {right, value} · {wrong, tries left} · {locked, ''} (no tries are left) · {none, ''} (there is no offer, or it was taken)

local o = redis.call('HMGET', KEYS[1], 'word', 'value', 'left', 'attempt', 'answer')
if not o[1] then return {'none', ''} end
local word, value, left, attempt, answer = o[1], o[2], tonumber(o[3]), o[4], o[5]
if attempt == ARGV[1] then
  if answer == 'right' then return {'right', value} end
  return {answer, o[3]}
end
if answer == 'right' then return {'none', ''} end
if left < 1 then return {'locked', ''} end
if word == ARGV[2] then
  redis.call('HSET', KEYS[1], 'attempt', ARGV[1], 'answer', 'right')
  return {'right', value}
end
redis.call('HSET', KEYS[1], 'left', left - 1, 'attempt', ARGV[1], 'answer', 'wrong')
return {'wrong', tostring(left - 1)}
