-- take.lua takes arrows: a call brings one or more, each on a record of its own, of one shard. It stands behind prologue.lua.
-- The file of each arrow gives its rule: which states it leaves (from), where it leads (to; none: it stays), and a guard,
-- what else must hold. Everything is checked before anything is written.
--
-- KEYS     1 claims (hash)   2 events (stream)   3 all (zset)   4 open (zset)   5 overdue (set)
--          6, 7 … outbox of each chat (zset)
-- ARGV     1 base of the slot's keys   2 channel of nudges   3 caller's clock (Unix ms)   4 number of arrows; then for each
--          the FIELDS below, the number of its notes, and each note (JSON)
-- Replies  for each arrow: ok · stale · taken (submit, adopt) · newer (restore) · move (the table has no such arrow) ·
--          guard-request · guard-timer, and the guards of the arrow's own file
--
-- A record is the hash base .. 'r:' .. id: state version right connector person requester role ends doc timers, and tokens
-- of the last attempts. It is listed under base .. 'p:' .. person; the records that may hold a right are in the set
-- base .. 'right:' .. right; its notes for a chat are in the list outbox .. ':q:' .. id. All are in the slot of KEYS.

-- FIELDS: where each stands behind the place at of its arrow.
local ARROW, TOKEN, ID, FROM, TO, VERSION, DOC, EVENT, TIMER, FENCE = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
local SUBMITTED, ENDS, OVERDUE, RIGHT, CONNECTOR, PERSON, REQUESTER, ROLE, TIMERS, NOTES = 10, 11, 12, 13, 14, 15, 16, 17, 18, 19
-- What is stored of a record (t.old), in the order it is read.
local OLD_STATE, OLD_VERSION, OLD_TOKENS, OLD_ENDS, OLD_RIGHT, OLD_PERSON, OLD_REQUESTER, OLD_TIMERS = 1, 2, 3, 4, 5, 6, 7, 8
local TERMINAL = {denied = true, cancelled = true, lapsed = true, failed = true, ended = true}
local HOLDS = {activating = true, active = true, deactivating = true}
-- Without these timers access could stay for ever, whatever the document says.
local NEEDS = {activating = {'activate', 'end'}, active = {'end'}, deactivating = {'deactivate'}}
-- A timer this near (ms) wakes the sleepers of its lane; they look by themselves more often than that.
local NEAR = 10000
local KEPT_TOKENS = 4

local argv = ARGV
local base, channel = argv[1], argv[2]
local now = clock(argv[3])

-- Guards ask of an arrow t: is and was, the documents as they are to be and were; has, whether the document has a part that
-- is an object (quotes in people's words are escaped); ending, whether the end of the grant is being worked.
local function is(t) return cjson.decode(argv[t.at + DOC]) end

local function was(t) return cjson.decode(redis.call('HGET', t.key, 'doc')) end

local function has(t, part) return string.find(argv[t.at + DOC], '"' .. part .. '":{', 1, true) end

local function ending(t)
  local _, owner = claimed(redis.call('HGET', KEYS[1], argv[t.at + RIGHT]))
  return owner and string.find(owner, 'end|' .. argv[t.at + ID] .. '|', 1, true) == 1
end

-- decided_by_another is the guard of decisions: one more than before (none or the program's own where the policy
-- approves by itself), by somebody who is neither requester nor beneficiary and has not decided yet.
local function decided_by_another(t)
  local old, new = was(t), is(t)
  local before, after = old.decisions or {}, new.decisions or {}
  for i, d in ipairs(before) do
    if not after[i] or after[i].by.person ~= d.by.person then return 'guard-decider' end
  end
  local auto = old.request.auto
  if auto and #after == #before then return end
  if #after ~= #before + 1 then return 'guard-decider' end
  local who = after[#after].by.person
  if who == old.request.requester or who == old.request.person then return 'guard-decider' end
  if who == 'elevate' and not auto then return 'guard-decider' end
  for _, d in ipairs(before) do
    if d.by.person == who then return 'guard-decider' end
  end
end

-- The rules of the arrows, each given by its own file when it is asked for.
local rules = {}
