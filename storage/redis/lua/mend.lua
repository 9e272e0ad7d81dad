-- mend: puts back what scripts know of a record, and its timers, to what its document says.
-- KEYS     1 record (hash)   2 claims (hash)   3 all (zset)   4 open (zset)   5 records of the right (set)
-- ARGV     1 base of the slot's keys   2 channel of nudges   3 caller's clock (Unix ms)   4 the longest lease there is (ms)
--          5 id   6 state   7 version   8 end (Unix ms, or 0)   9 right   10 connector   11 person   12 requester   13 role
--          14 timers   15 time of submission (Unix ms)   16 "1": may hold the right
-- Replies  whole · mended · moved
--
-- The lanes lie in the same slot.

local base, id, right, connector = ARGV[1], ARGV[5], ARGV[9], ARGV[10]
local _, shared = clock(ARGV[3])
local latest = shared + tonumber(ARGV[4])
local found = redis.call('HMGET', KEYS[1], 'state', 'version', 'ends', 'right', 'connector', 'person', 'requester', 'role', 'timers', 'doc')
local doc = found[10]
if not doc then return 'moved' end
if ms(cjson.decode(doc).version) ~= ARGV[7] then return 'moved' end

local word = 'whole'
local function mend(...)
  redis.call(...)
  word = 'mended'
end

-- The fields beside the document.
for i = 1, 9 do
  if found[i] ~= ARGV[5 + i] then
    mend('HSET', KEYS[1], 'state', ARGV[6], 'version', ARGV[7], 'ends', ARGV[8], 'right', right, 'connector', connector,
      'person', ARGV[11], 'requester', ARGV[12], 'role', ARGV[13], 'timers', ARGV[14])
    break
  end
end

-- Claims that last longer than any lease, or are none.
for _, name in ipairs({right, 'start|' .. id, 'lapse|' .. id, 'remind|' .. id, 'notice|' .. id, 'overdue|' .. id, 'auto|' .. id}) do
  local claim = redis.call('HGET', KEYS[2], name)
  if claim and tonumber(string.match(claim, '^(%d+)|') or latest + 1) > latest then mend('HDEL', KEYS[2], name, name .. WAITING) end
end

-- Timers that are not in their lane, before their time, or later than a lease explains.
for timer, due in string.gmatch(ARGV[14], '(%a+)=(%d+)') do
  local key, member = lane_of(base, timer, connector), timer .. '|' .. id
  local score = tonumber(redis.call('ZSCORE', key, member) or '-1')
  if score < tonumber(due) or score > math.max(tonumber(due), latest) then
    put(key, SIDE[timer] and SIDE[timer] .. connector or 'clock', member, due, ARGV[2])
    word = 'mended'
  end
end

-- Lists.
if not redis.call('ZSCORE', KEYS[3], id) then mend('ZADD', KEYS[3], ARGV[15], id) end
if ARGV[14] ~= '' and not redis.call('ZSCORE', KEYS[4], id) then mend('ZADD', KEYS[4], ARGV[15], id) end
if ARGV[16] == '1' and redis.call('SISMEMBER', KEYS[5], id) == 0 then mend('SADD', KEYS[5], id) end
return word
