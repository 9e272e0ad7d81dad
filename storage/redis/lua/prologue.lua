-- prologue.lua stands in front of every script.

-- ms writes a time: Lua's own conversion may turn a long number into an exponent.
local function ms(n)
  return string.format('%.0f', tonumber(n))
end

-- clock is the one place where scripts read the time: the earlier of Redis' clock and the caller's, in whole Unix
-- milliseconds, so that nothing comes early unless both are ahead.
local function clock(caller)
  local t = redis.call('TIME')
  return math.min(t[1] * 1000 + math.floor(t[2] / 1000), tonumber(caller))
end

-- put sets a member of a lane, and nudges the sleepers of the lane when it is now the earliest.
local function put(key, lane, member, due, channel)
  redis.call('ZADD', key, due, member)
  if redis.call('ZRANGE', key, 0, 0)[1] == member then
    redis.call('PUBLISH', channel, lane)
  end
end

-- busy reads who works on a right: the end of the lease in Unix ms and the owner "<timer>|<id>|<fence>", or nothing.
local function busy(key, right)
  local held = redis.call('HGET', key, right)
  if not held then return end
  local bar = string.find(held, '|', 1, true)
  return tonumber(string.sub(held, 1, bar - 1)), string.sub(held, bar + 1)
end

-- free ends the work of an owner on a right, and makes the timers that waited for it due as they were. k names busy,
-- right, owner, holders (the set of the right), base, connector, on, off (the lanes) and channel. It touches the
-- records of the right, base .. 'r:' .. id, which are in the same slot.
local function free(k)
  local _, owner = busy(k.busy, k.right)
  if owner ~= k.owner then return end
  redis.call('HDEL', k.busy, k.right)
  for _, id in ipairs(redis.call('SMEMBERS', k.holders)) do
    local f = redis.call('HMGET', k.base .. 'r:' .. id, 'd:activate', 'c:activate', 'd:deactivate', 'c:deactivate', 'd:end', 'c:end')
    if f[1] and not f[2] then put(k.on, 'on:' .. k.connector, 'activate|' .. id, f[1], k.channel) end
    if f[3] and not f[4] then put(k.off, 'off:' .. k.connector, 'deactivate|' .. id, f[3], k.channel) end
    if f[5] and not f[6] then put(k.off, 'off:' .. k.connector, 'end|' .. id, f[5], k.channel) end
  end
end

-- answer is the reply of scripts that lease: when the earliest that is left is due, whether that is now, what is leased.
local function answer(key, now, given)
  local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
  local reply = {first and ms(first) or '', first and tonumber(first) <= now and 'more' or ''}
  for _, item in ipairs(given) do
    reply[#reply + 1] = item
  end
  return reply
end
