-- prologue.lua stands in front of every script.

-- A key of another type than a command wants, or a stream whose ids are used up, is not ours. It is put aside, for 90 days,
-- and counts as one that is not there: whoever put it there could have deleted ours as well, and nothing that needs it would
-- ever be done again.
local server = redis
local redis = {call = function(...)
  local reply = server.pcall(...)
  if type(reply) ~= 'table' or not reply.err then return reply end
  if string.sub(reply.err, 1, 9) == 'WRONGTYPE' or string.find(reply.err, 'exhausted the last possible ID', 1, true) then
    local key = select(2, ...)
    server.call('RENAME', key, key .. ':strange')
    server.call('PEXPIRE', key .. ':strange', '7776000000')
  end
  return server.call(...)
end}

-- ms writes a time: Lua's own conversion may turn a long number into an exponent.
local function ms(n)
  return string.format('%.0f', tonumber(n)) -- the server in process wants a number
end

-- clock is the one place where scripts read the time: the earlier of Redis' clock and the caller's, in whole Unix
-- milliseconds, so that nothing comes early unless both are ahead. A caller that saw Redis' clock being moved writes "="
-- in front of its own, which then counts alone. The second value is the clock of leases: Redis' own, which all callers
-- share, so that a lease is as long for everybody, however far apart their clocks are.
local function clock(caller)
  if string.sub(caller, 1, 1) == '=' then
    local own = tonumber(string.sub(caller, 2))
    return own, own
  end
  local t = redis.call('TIME')
  local shared = t[1] * 1000 + math.floor(t[2] / 1000)
  return math.min(shared, tonumber(caller)), shared
end

-- put sets a member of a lane, and nudges the sleepers of the lane when it is now the earliest.
local function put(key, lane, member, due, channel)
  redis.call('ZADD', key, due, member)
  if redis.call('ZRANGE', key, 0, 0)[1] == member then
    redis.call('PUBLISH', channel, lane)
  end
end

-- A record's timers are one text, such as "end=1767225600000 overdue=1767225660000": when each is due (Unix ms).
-- due_of gives one of them, or nothing.
local function due_of(timers, name)
  return string.match(' ' .. timers, ' ' .. name .. '=(%d+)')
end

-- Claims are a hash: by the right for timers that call a connector, so that one call at a time works on a right, and by the
-- lane's member "<timer>|<id>" for the others. claimed reads one: the end of the lease in Unix ms by the clock of leases and
-- the owner "<timer>|<id>|<fence>", or nothing. The place of a claimed timer in its lane only tells when to look again.
local function claimed(text)
  if not text then return end
  local bar = string.find(text, '|', 1, true)
  return tonumber(string.sub(text, 1, bar - 1)), string.sub(text, bar + 1)
end

-- Timers that found their right claimed wait for the end of the lease; this behind the right's name in the claims says so.
local WAITING = '!'

-- The lanes of the timers that call a connector; the others wait in the lane clock.
local SIDE = {activate = 'on:', ['end'] = 'off:', deactivate = 'off:'}

local function lane_of(base, timer, connector)
  return SIDE[timer] and base .. 'due:' .. SIDE[timer] .. connector or base .. 'due:clock'
end

-- wake makes the timers due as they were that waited for a right which is free now. It touches the records of the right.
local function wake(base, right, connector, channel)
  for _, id in ipairs(redis.call('SMEMBERS', base .. 'right:' .. right)) do
    local timers = redis.call('HGET', base .. 'r:' .. id, 'timers') or ''
    for timer, due in string.gmatch(timers, '(%a+)=(%d+)') do
      if SIDE[timer] then
        put(lane_of(base, timer, connector), SIDE[timer] .. connector, timer .. '|' .. id, due, channel)
      end
    end
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
