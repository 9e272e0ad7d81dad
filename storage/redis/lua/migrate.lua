-- migrate: brings the timers of a record of layout 1 into layout 2. There, each timer had fields of its own (d: when it is
-- due, c: and f: its claim), and the end of a grant waited in the lane clock. Claims are forgotten: timers are due as they were.
-- KEYS     1 record (hash)
-- ARGV     1 id   2 connector   3 timers (prologue.lua, due_of)   4 base of the slot's keys   5 channel of nudges
-- Replies  ok
--
-- The lanes are named by base and connector and lie in the same slot.

if redis.call('HEXISTS', KEYS[1], 'timers') == 1 then return 'ok' end
for _, timer in ipairs({'auto', 'remind', 'lapse', 'start', 'notice', 'end', 'overdue', 'activate', 'deactivate'}) do
  redis.call('ZREM', ARGV[4] .. 'due:clock', timer .. '|' .. ARGV[1])
  redis.call('ZREM', lane_of(ARGV[4], timer, ARGV[2]), timer .. '|' .. ARGV[1])
  redis.call('HDEL', KEYS[1], 'd:' .. timer, 'c:' .. timer, 'f:' .. timer)
end
redis.call('DEL', ARGV[4] .. 'busy')
redis.call('HSET', KEYS[1], 'timers', ARGV[3])
for timer, due in string.gmatch(ARGV[3], '(%a+)=(%d+)') do
  put(lane_of(ARGV[4], timer, ARGV[2]), SIDE[timer] and SIDE[timer] .. ARGV[2] or 'clock', timer .. '|' .. ARGV[1], due, ARGV[5])
end
return 'ok'
