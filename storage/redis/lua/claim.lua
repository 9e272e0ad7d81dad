-- claim: leases timers of one lane that are due, the earliest first. A claimed timer stays in its lane, due again at
-- the end of the lease, when the claim itself is looked at: whoever put it there may have another clock. A timer that calls a
-- connector waits while another works on its right.
-- KEYS     1 lane (zset)   2 claims (hash)   3 fences (string: the last one given)
-- ARGV     1 base of the slot's keys   2 caller's clock (Unix ms)   3 lease (ms)   4 limit   5 "1": respect rights
-- Replies  {when the earliest that is left is due (Unix ms) or "", "more" where that is now or "",
--          {id, timer, due (Unix ms), fence, doc, number of records that may hold the right, or "" on the lane clock}, …}
--
-- The records, base .. 'r:' .. id, are named by the members of the lane and lie in the same slot.

local MOST_LOOKED_AT = 512

local lane, base, lease, limit, exclusive = KEYS[1], ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
local now, shared = clock(ARGV[2])
local until_ = ms(shared + lease)
local given, fence = {}, nil

-- next_fence begins at the time, so that fences also rise where the store lost its last one.
local function next_fence()
  if not fence then
    fence = math.max(tonumber(redis.call('GET', KEYS[3]) or '0'), now)
  end
  fence = fence + 1
  return ms(fence)
end

-- look reads the records of due members, and drops members that have none.
local function look(members)
  local found, names = {}, {}
  for _, member in ipairs(members) do
    local bar = string.find(member, '|', 1, true)
    local timer, id = string.sub(member, 1, bar - 1), string.sub(member, bar + 1)
    local rec = redis.call('HMGET', base .. 'r:' .. id, 'timers', 'doc', 'right')
    local due = rec[1] and rec[2] and due_of(rec[1], timer)
    if due then
      found[#found + 1] = {member = member, timer = timer, id = id, due = due, doc = rec[2], right = rec[3]}
      names[#names + 1] = exclusive and rec[3] or member
    else
      redis.call('ZREM', lane, member)
    end
  end
  return found, names
end

-- lease_all leases what is free, and lets the others wait.
local function lease_all(found, names)
  if #found == 0 then return end
  local held = redis.call('HMGET', KEYS[2], unpack(names))
  local scores, claims, taken = {}, {}, {}
  for i, t in ipairs(found) do
    local name = names[i]
    local left = (taken[name] or claimed(held[i]) or 0) - shared
    if left > 0 then
      scores[#scores + 1] = ms(now + left)
      if exclusive then
        claims[#claims + 1] = name .. WAITING
        claims[#claims + 1] = '1'
      end
    else
      local sharers = exclusive and ms(redis.call('SCARD', base .. 'right:' .. t.right)) or ''
      local mine = next_fence()
      scores[#scores + 1] = ms(now + lease)
      claims[#claims + 1] = name
      claims[#claims + 1] = until_ .. '|' .. t.member .. '|' .. mine
      taken[name] = tonumber(until_)
      given[#given + 1] = {t.id, t.timer, t.due, mine, t.doc, sharers}
    end
    scores[#scores + 1] = t.member
  end
  redis.call('ZADD', lane, unpack(scores))
  if #claims > 0 then redis.call('HSET', KEYS[2], unpack(claims)) end
end

local looked = 0
while #given < limit and looked < MOST_LOOKED_AT do
  local members = redis.call('ZRANGEBYSCORE', lane, '-inf', ms(now), 'LIMIT', 0, limit - #given)
  if #members == 0 then break end
  looked = looked + #members
  lease_all(look(members))
end
if fence then redis.call('SET', KEYS[3], ms(fence)) end

return answer(lane, now, given)
