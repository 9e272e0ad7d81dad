-- restore: writes a record as the audit log has it, where the store has none or an older one. It is no arrow: the arrow
-- that led there was taken before, and lost.
-- KEYS, ARGV and replies as in arrow.lua, and besides: newer (the store has this version or a later one).
local rec = load()
if rec.version and tonumber(rec.version) >= tonumber(ARGV[5]) then return 'newer' end
local due, notes, chats = read()
local to = ARGV[4]
if timers_missing(to, due) then return 'guard-timer' end

local set = {
  'state', to, 'version', ARGV[5], 'doc', ARGV[6], 'ends', ARGV[12], 'right', ARGV[14], 'connector', ARGV[15],
  'person', ARGV[16], 'requester', ARGV[17], 'role', ARGV[18],
}
local gone = {}
set_timers(rec, due, set, gone)
redis.call('HSET', KEYS[1], unpack(set))
if #gone > 0 then redis.call('HDEL', KEYS[1], unpack(gone)) end
set_indexes('', to)
if not HOLDS[to] then redis.call('SREM', KEYS[10], ARGV[2]) end
if ARGV[13] ~= '1' then redis.call('SREM', KEYS[12], ARGV[2]) end
redis.call('XADD', KEYS[5], '*', 'e', ARGV[7])
tell(notes, chats, clock(ARGV[8]))
return 'ok'
