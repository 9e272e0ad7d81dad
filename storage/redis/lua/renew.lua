-- renew: prolongs the lease on a timer, and with it the hold on the right. Where an ending has moved on under its call (it
-- was flagged overdue, or somebody ended it), the timer is gone and the right is held on, so that the target is not called
-- by two at once.
-- KEYS     1 record (hash)   2 lane (zset)   3 claims (hash)
-- ARGV     1 timer   2 id   3 fence   4 caller's clock (Unix ms)   5 lease (ms)   6 "1" on a lane that respects rights
-- Replies  ok · stale

local member = ARGV[1] .. '|' .. ARGV[2]
local rec = redis.call('HMGET', KEYS[1], 'timers', 'right')
local due = rec[1] and due_of(rec[1], ARGV[1])
if not due and (ARGV[6] ~= '1' or ARGV[1] == 'activate') then return 'stale' end
local name = ARGV[6] == '1' and rec[2] or member
local _, owner = claimed(redis.call('HGET', KEYS[3], name))
if owner ~= member .. '|' .. ARGV[3] then return 'stale' end

local now, shared = clock(ARGV[4])
if due then redis.call('ZADD', KEYS[2], ms(now + tonumber(ARGV[5])), member) end
redis.call('HSET', KEYS[3], name, ms(shared + tonumber(ARGV[5])) .. '|' .. owner)
return 'ok'
