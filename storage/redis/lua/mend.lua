-- mend: puts back what scripts know of a record, and its timers, to what its document says.
-- KEYS     1 record (hash)   2 claims (hash)   3 all (zset)   4 open (zset)   5 records of the right (set)
-- ARGV     1 base of the slot's keys   2 channel of nudges   3 caller's clock (Unix ms)   4 the longest lease there is (ms)
--          5 id   6 mark of the document, or ""   7 state   8 version   9 end (Unix ms, or 0)   10 right   11 connector
--          12 person   13 requester   14 role   15 timers   16 time of submission (Unix ms)   17 "1": may hold the right
-- Replies  whole · mended · moved
--
-- The lanes lie in the same slot.

local base, id, right, connector = ARGV[1], ARGV[5], ARGV[10], ARGV[11]
local now = clock(ARGV[3])
local latest = now + tonumber(ARGV[4])
local found = redis.call('HMGET', KEYS[1], 'state', 'version', 'ends', 'right', 'connector', 'person', 'requester', 'role', 'timers', 'doc')
local doc = found[10]
if not doc then return 'moved' end
if ARGV[6] ~= '' and string.find(doc, '"mark":"' .. ARGV[6] .. '"', 1, true) ~= 2 then return 'moved' end
if ARGV[6] == '' and ms(cjson.decode(doc).version) ~= ARGV[8] then return 'moved' end

local word = 'whole'
local function mend(...)
  redis.call(...)
  word = 'mended'
end

-- The fields beside the document.
for i = 1, 9 do
  if found[i] ~= ARGV[6 + i] then
    mend('HSET', KEYS[1], 'state', ARGV[7], 'version', ARGV[8], 'ends', ARGV[9], 'right', right, 'connector', connector,
      'person', ARGV[12], 'requester', ARGV[13], 'role', ARGV[14], 'timers', ARGV[15])
    break
  end
end

-- Claims that last longer than any lease, or are none.
for _, name in ipairs({right, 'start|' .. id, 'lapse|' .. id, 'remind|' .. id, 'notice|' .. id, 'overdue|' .. id, 'auto|' .. id}) do
  local claim = redis.call('HGET', KEYS[2], name)
  if claim and tonumber(string.match(claim, '^(%d+)|') or latest + 1) > latest then mend('HDEL', KEYS[2], name, name .. WAITING) end
end

-- Timers that are not in their lane, before their time, or later than a lease explains.
for timer, due in string.gmatch(ARGV[15], '(%a+)=(%d+)') do
  local key, member = lane_of(base, timer, connector), timer .. '|' .. id
  local score = tonumber(redis.call('ZSCORE', key, member) or '-1')
  if score < tonumber(due) or score > math.max(tonumber(due), latest) then
    put(key, SIDE[timer] and SIDE[timer] .. connector or 'clock', member, due, ARGV[2])
    word = 'mended'
  end
end

-- Lists.
if not redis.call('ZSCORE', KEYS[3], id) then mend('ZADD', KEYS[3], ARGV[16], id) end
if ARGV[15] ~= '' and not redis.call('ZSCORE', KEYS[4], id) then mend('ZADD', KEYS[4], ARGV[16], id) end
if ARGV[17] == '1' and redis.call('SISMEMBER', KEYS[5], id) == 0 then mend('SADD', KEYS[5], id) end
return word
