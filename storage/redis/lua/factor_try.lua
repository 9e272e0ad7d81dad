-- factor_try stands in front of a step of factors, whose text follows as the function step, and has it run on copies: what it
-- would leave is told, and nothing is changed. Whoever has the key can then mark that, and write it with factor_swap.
-- KEYS     those of the step
-- ARGV     those of the step
-- Replies  {word, or "failed: " and why, events, then for each key that is a hash in its place or in the copy: key, fields and values as they are,
--          as they would be, time to live as it would be (ms; -1: for ever)}

local real, copies, hashes = redis, {}, {}

for _, key in ipairs(KEYS) do
  copies[key] = key .. ':copy'
  real.call('DEL', copies[key])
  if real.call('TYPE', key)['ok'] == 'hash' then
    hashes[key] = real.call('HGETALL', key)
    real.call('HSET', copies[key], unpack(hashes[key]))
    local left = real.call('PTTL', key)
    if left > 0 then real.call('PEXPIRE', copies[key], left) end
  end
end

local redis = {call = function(command, ...)
  local args = {...}
  for i, arg in ipairs(args) do
    if copies[arg] then args[i] = copies[arg] end
  end
  return real.call(command, unpack(args))
end}

local function told(fine, word)
  if not fine then word = 'failed: ' .. (type(word) == 'table' and word.err or tostring(word)) end
  local events, reply = {}, {}
  for _, key in ipairs(KEYS) do
    local kind = real.call('TYPE', copies[key])['ok']
    if kind == 'stream' then
      for _, entry in ipairs(real.call('XRANGE', copies[key], '-', '+')) do
        events[#events + 1] = entry[2][2]
      end
    elseif kind == 'hash' or hashes[key] then
      reply[#reply + 1] = {key, hashes[key] or {}, kind == 'hash' and real.call('HGETALL', copies[key]) or {}, ms(real.call('PTTL', copies[key]))}
    end
    real.call('DEL', copies[key])
  end
  return {word, events, unpack(reply)}
end

-- proves tells whether there is an app or a key in a factor.
local function proves(key)
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if field == 'id' or string.sub(field, 1, 2) == 'k:' then return true end
  end
  return false
end

-- empty takes all there is out of a factor, but for how many keys there were: their numbers are not given again.
local function empty(key)
  local keys = redis.call('HGET', key, 'keys')
  redis.call('DEL', key)
  if keys then redis.call('HSET', key, 'keys', keys) end
end

-- barred tells whether a factor takes no other that is vouched for like this: two administrators have to reset it, or one has
-- to confirm.
local function barred(key, vouched)
  local f = redis.call('HMGET', key, 'doubted', 'lost', 'removed')
  return f[1] or (f[2] or f[3]) and vouched == 'sign-in'
end
