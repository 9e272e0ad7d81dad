-- release: gives a claim back undone; the timer is due again as it was, and the right is free. Of a lost claim only the
-- right is given back, where it still has it.
-- KEYS     1 record (hash)   2 lane (zset)   3 lane on:<connector>   4 lane off:<connector>   5 busy (hash)
-- ARGV     1 timer   2 id   3 fence   4 name of the lane   5 connector, or "" on the lane clock
--          6 base of the slot's keys   7 channel of nudges
-- Replies  ok
--
-- The set of the right, base .. 'right:' .. right, is named by the record and lies in the same slot.

local timer, id, fence = ARGV[1], ARGV[2], ARGV[3]
local rec = redis.call('HMGET', KEYS[1], 'f:' .. timer, 'c:' .. timer, 'd:' .. timer, 'right')
if rec[1] == fence and rec[2] and rec[3] then
  redis.call('HDEL', KEYS[1], 'c:' .. timer)
  put(KEYS[2], ARGV[4], timer .. '|' .. id, rec[3], ARGV[7])
end
if ARGV[5] ~= '' and rec[4] then
  free({
    busy = KEYS[5], right = rec[4], owner = timer .. '|' .. id .. '|' .. fence, holders = ARGV[6] .. 'right:' .. rec[4],
    base = ARGV[6], connector = ARGV[5], on = KEYS[3], off = KEYS[4], channel = ARGV[7],
  })
end
return 'ok'
