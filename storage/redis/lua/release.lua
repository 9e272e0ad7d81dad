-- release: gives a claim back undone; the timer is due again as it was, and the right is free. Of a timer that is gone only
-- the right is given back. A lost claim is left alone.
-- KEYS     1 record (hash)   2 lane (zset)   3 claims (hash)
-- ARGV     1 timer   2 id   3 fence   4 name of the lane   5 connector, or "" on the lane clock
--          6 base of the slot's keys   7 channel of nudges
-- Replies  ok
--
-- The records of the right and their lanes are in the same slot.

local member = ARGV[1] .. '|' .. ARGV[2]
local rec = redis.call('HMGET', KEYS[1], 'timers', 'right')
if not rec[2] then return 'ok' end
local name = ARGV[5] ~= '' and rec[2] or member
local held = redis.call('HMGET', KEYS[3], name, name .. WAITING)
local _, owner = claimed(held[1])
if owner ~= member .. '|' .. ARGV[3] then return 'ok' end

redis.call('HDEL', KEYS[3], name, name .. WAITING)
local due = due_of(rec[1] or '', ARGV[1])
if due then put(KEYS[2], ARGV[4], member, due, ARGV[7]) end
if held[2] then wake(ARGV[6], name, ARGV[5], ARGV[7]) end
return 'ok'
