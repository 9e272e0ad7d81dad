-- claim: leases timers of one lane that are due, the earliest first. A claimed timer stays in its lane, due again at
-- the end of the lease. A timer that calls a connector waits while another works on its right.
-- KEYS     1 lane (zset)   2 busy (hash)
-- ARGV     1 base of the slot's keys   2 caller's clock (Unix ms)   3 lease (ms)   4 limit   5 "1": respect busy rights
-- Replies  {when the earliest that is left is due (Unix ms) or "", "more" where that is now or "", {id, timer, due (Unix ms), fence, doc, number of
--          records that may hold the right, or "" where rights are not respected}, …}
--
-- The records, base .. 'r:' .. id, are named by the members of the lane and lie in the same slot.

local MOST_LOOKED_AT = 512

local lane, base, lease, limit, exclusive = KEYS[1], ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
local now = clock(ARGV[2])
local until_ = ms(now + lease)
local given, taken = {}, {}

-- lease_one leases a timer, or gives nothing where it must wait or has no record. scores and rights collect what is
-- written for all of them together.
local function lease_one(member, scores, rights)
  local bar = string.find(member, '|', 1, true)
  local timer, id = string.sub(member, 1, bar - 1), string.sub(member, bar + 1)
  local key = base .. 'r:' .. id
  local rec = redis.call('HMGET', key, 'd:' .. timer, 'doc', 'right', 'f:' .. timer)
  if not rec[1] or not rec[2] then
    redis.call('ZREM', lane, member)
    return
  end
  local sharers = ''
  if exclusive then
    local held = taken[rec[3]] or busy(KEYS[2], rec[3])
    if held and held > now then
      scores[#scores + 1] = ms(held)
      scores[#scores + 1] = member
      return
    end
    sharers = ms(redis.call('SCARD', base .. 'right:' .. rec[3]))
  end
  local fence = ms((rec[4] or 0) + 1)
  redis.call('HSET', key, 'f:' .. timer, fence, 'c:' .. timer, until_)
  scores[#scores + 1] = until_
  scores[#scores + 1] = member
  if exclusive then
    taken[rec[3]] = tonumber(until_)
    rights[#rights + 1] = rec[3]
    rights[#rights + 1] = until_ .. '|' .. member .. '|' .. fence
  end
  return {id, timer, rec[1], fence, rec[2], sharers}
end

local looked = 0
while #given < limit and looked < MOST_LOOKED_AT do
  local members = redis.call('ZRANGEBYSCORE', lane, '-inf', ms(now), 'LIMIT', 0, limit - #given)
  if #members == 0 then break end
  local scores, rights = {}, {}
  for _, member in ipairs(members) do
    looked = looked + 1
    given[#given + 1] = lease_one(member, scores, rights)
  end
  if #scores > 0 then redis.call('ZADD', lane, unpack(scores)) end
  if #rights > 0 then redis.call('HSET', KEYS[2], unpack(rights)) end
end

return answer(lane, now, given)
