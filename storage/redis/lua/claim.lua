-- claim: leases timers of one lane that are due, the earliest first. A claimed timer stays in its lane, due again at
-- the end of the lease. A timer that calls a connector waits while another works on its right.
-- KEYS     1 lane (zset)   2 busy (hash)
-- ARGV     1 base of the slot's keys   2 caller's clock (Unix ms)   3 lease (ms)   4 limit   5 "1": respect busy rights
-- Replies  {when the earliest that is left is due (Unix ms) or "", "more" where that is now or "", {id, timer, due (Unix ms), fence, doc}, …}
--
-- The records, base .. 'r:' .. id, are named by the members of the lane and lie in the same slot.

local MOST_LOOKED_AT = 512

local lane, base, lease, limit = KEYS[1], ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
local now = clock(ARGV[2])
local until_ = ms(now + lease)
local given = {}

-- lease_one leases a timer, or gives nothing where it must wait or has no record.
local function lease_one(member)
  local bar = string.find(member, '|', 1, true)
  local timer, id = string.sub(member, 1, bar - 1), string.sub(member, bar + 1)
  local key = base .. 'r:' .. id
  local rec = redis.call('HMGET', key, 'd:' .. timer, 'doc', 'right')
  if not rec[1] or not rec[2] then
    redis.call('ZREM', lane, member)
    return
  end
  if ARGV[5] == '1' then
    local held = busy(KEYS[2], rec[3])
    if held and held > now then
      redis.call('ZADD', lane, ms(held), member)
      return
    end
  end
  local fence = redis.call('HINCRBY', key, 'f:' .. timer, 1)
  redis.call('HSET', key, 'c:' .. timer, until_)
  redis.call('ZADD', lane, until_, member)
  if ARGV[5] == '1' then
    redis.call('HSET', KEYS[2], rec[3], until_ .. '|' .. member .. '|' .. ms(fence))
  end
  return {id, timer, rec[1], ms(fence), rec[2]}
end

local looked = 0
while #given < limit and looked < MOST_LOOKED_AT do
  local members = redis.call('ZRANGEBYSCORE', lane, '-inf', ms(now), 'LIMIT', 0, limit - #given)
  if #members == 0 then break end
  for _, member in ipairs(members) do
    looked = looked + 1
    local claim = lease_one(member)
    if claim then given[#given + 1] = claim end
  end
end

return answer(lane, now, given)
