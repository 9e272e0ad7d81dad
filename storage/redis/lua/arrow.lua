-- arrow.lua is what all arrows have in common. It stands behind prologue.lua and in front of each arrow's own file,
-- which is one call of take: which states the arrow leaves, where it leads, and what else must hold.
--
-- KEYS     1 record (hash)                 2 lane clock (zset)        3 lane on:<connector>   4 lane off:<connector>
--          5 events (stream)               6 all (zset)               7 open (zset)           8 the beneficiary's (zset)
--          9 the requester's (zset)       10 holders of the right (set)   11 busy (hash)      12 overdue (set)
--         13, 14 … for each chat: its outbox (zset), the notes of this topic (list)
-- ARGV     1 token of the attempt          2 id                       3 state from            4 state to
--          5 version as it is to be        6 doc (JSON)               7 event (JSON)          8 caller's clock (Unix ms)
--          9 timer of the claim, or ""    10 fence of the claim      11 submitted (Unix ms)  12 ends (Unix ms, 0: none)
--         13 "1" where overdue            14 right                   15 connector            16 beneficiary
--         17 requester                    18 role                    19 base of the slot's keys
--         20 channel of nudges            21 number of timers, then name and due (Unix ms) of each;
--            then the number of notes and each note (JSON); then the name of each chat
-- Replies  ok · stale · taken (submit) · move (the table has no such arrow) · guard-request · guard-timer, and the
--          guards of the arrow's own file
--
-- The record's hash: state version right connector person requester role ends doc; tokens of the last attempts; and for each
-- timer d: when it is due (Unix ms), f: the fence of its last claim, c: the end of the lease while it is claimed.
-- Records of the same right are touched when a right becomes free (prologue.lua, free).

local TIMERS = {'auto', 'remind', 'lapse', 'start', 'notice', 'overdue', 'end', 'activate', 'deactivate'}
local TERMINAL = {denied = true, cancelled = true, lapsed = true, failed = true, ended = true}
local HOLDS = {activating = true, active = true, deactivating = true}
-- Without these timers access could stay for ever, whatever the document says.
local NEEDS = {activating = {'activate', 'end'}, active = {'end'}, deactivating = {'deactivate'}}
local KEPT_TOKENS = 8

local function contains(list, word)
  for _, w in ipairs(list) do
    if w == word then return true end
  end
  return false
end

-- load reads what is stored: the fields by name, with d: and c: of every timer and f: of the claimed one.
local function load()
  local names = {'state', 'version', 'tokens', 'ends', 'right', 'person', 'requester', 'f:' .. ARGV[9]}
  for _, timer in ipairs(TIMERS) do
    names[#names + 1] = 'd:' .. timer
    names[#names + 1] = 'c:' .. timer
  end
  local rec = {}
  for i, value in ipairs(redis.call('HMGET', KEYS[1], unpack(names))) do
    rec[names[i]] = value
  end
  return rec
end

-- read gives the arguments of varying number: due by timer, notes, chats.
local function read()
  local due, notes, chats, at = {}, {}, {}, 22
  for _ = 1, tonumber(ARGV[21]) do
    due[ARGV[at]] = ARGV[at + 1]
    at = at + 2
  end
  for i = 1, tonumber(ARGV[at]) do
    notes[i] = ARGV[at + i]
  end
  at = at + #notes
  for i = 1, (#KEYS - 12) / 2 do
    chats[i] = ARGV[at + i]
  end
  return due, notes, chats
end

-- decided_by_another is the guard of decisions: one more than before (none or the program's own where the policy
-- approves by itself), by somebody who is neither requester nor beneficiary and has not decided yet.
local function decided_by_another(was, is)
  local before, after = was.decisions or {}, is.decisions or {}
  for i, d in ipairs(before) do
    if not after[i] or after[i].by.person ~= d.by.person then return 'guard-decider' end
  end
  local auto = was.request.auto
  if auto and #after == #before then return end
  if #after ~= #before + 1 then return 'guard-decider' end
  local who = after[#after].by.person
  if who == was.request.requester or who == was.request.person then return 'guard-decider' end
  if who == 'elevate' and not auto then return 'guard-decider' end
  for _, d in ipairs(before) do
    if d.by.person == who then return 'guard-decider' end
  end
end

-- timers_missing tells whether the timers do not fit the state: one that ends has none, any other has what it needs.
local function timers_missing(to, due)
  if TERMINAL[to] then return next(due) ~= nil end
  for _, timer in ipairs(NEEDS[to] or {}) do
    if not due[timer] then return true end
  end
  return next(due) == nil
end

-- moved tells that the record, or the claim, is not the one that the arrow was made from.
local function moved(rec)
  local from, version, timer = ARGV[3], tonumber(ARGV[5]), ARGV[9]
  if from == '' then return version ~= 1 end
  if rec.state ~= from or tonumber(rec.version) ~= version - 1 then return true end
  return timer ~= '' and (rec['f:' .. timer] ~= ARGV[10] or not rec['c:' .. timer])
end

-- refused gives the word for an arrow that must not be taken, or nothing.
local function refused(rule, rec, due, now)
  local from, to = ARGV[3], ARGV[4]
  if not contains(rule.from, from) or to ~= (rule.to or from) then return 'move' end
  if from ~= '' and (rec.right ~= ARGV[14] or rec.person ~= ARGV[16] or rec.requester ~= ARGV[17]) then return 'guard-request' end
  if timers_missing(to, due) then return 'guard-timer' end
  if rule.guard then
    return rule.guard({
      now = now, ends = tonumber(ARGV[12]), ended_before = tonumber(rec.ends or '0'), ending = rec['c:end'],
      has = function(part) return string.find(ARGV[6], '"' .. part .. '":{', 1, true) end, -- quotes in words are escaped
      was = function() return cjson.decode(redis.call('HGET', KEYS[1], 'doc')) end,
      is = function() return cjson.decode(ARGV[6]) end,
    })
  end
end

-- set_timers arms exactly the timers of the document, and adds the fields of the record that change to set and gone. A
-- timer that is claimed and still due at the same time stays claimed, unless it is the one that this arrow finishes.
local function set_timers(rec, due, set, gone)
  for _, timer in ipairs(TIMERS) do
    local was, is = rec['d:' .. timer], due[timer]
    local key, name = KEYS[2], 'clock'
    if timer == 'activate' then key, name = KEYS[3], 'on:' .. ARGV[15] end
    if timer == 'end' or timer == 'deactivate' then key, name = KEYS[4], 'off:' .. ARGV[15] end
    local changed = is ~= (was or nil) or (is and timer == ARGV[9])
    if changed and is then
      put(key, name, timer .. '|' .. ARGV[2], is, ARGV[20])
      set[#set + 1] = 'd:' .. timer
      set[#set + 1] = is
    elseif changed then
      redis.call('ZREM', key, timer .. '|' .. ARGV[2])
      gone[#gone + 1] = 'd:' .. timer
    end
    if changed and rec['c:' .. timer] then gone[#gone + 1] = 'c:' .. timer end
  end
end

local function set_indexes(from, to)
  local id, submitted = ARGV[2], ARGV[11]
  if from == '' then
    redis.call('ZADD', KEYS[6], submitted, id)
    redis.call('ZADD', KEYS[7], submitted, id)
    redis.call('ZADD', KEYS[8], submitted, id)
    if KEYS[9] ~= KEYS[8] then redis.call('ZADD', KEYS[9], submitted, id) end
  end
  if TERMINAL[to] then redis.call('ZREM', KEYS[7], id) end
  if HOLDS[to] and not HOLDS[from] then redis.call('SADD', KEYS[10], id) end
  if HOLDS[from] and not HOLDS[to] then redis.call('SREM', KEYS[10], id) end
  if ARGV[13] == '1' then
    redis.call('SADD', KEYS[12], id)
  elseif from == 'deactivating' then
    redis.call('SREM', KEYS[12], id)
  end
end

local function tell(notes, chats, now)
  if #notes == 0 then return end
  for i, chat in ipairs(chats) do
    local out, topic = KEYS[11 + 2 * i], KEYS[12 + 2 * i]
    redis.call('RPUSH', topic, unpack(notes))
    if redis.call('ZADD', out, 'NX', ms(now), ARGV[2]) == 1 then
      redis.call('PUBLISH', ARGV[20], 'out:' .. chat)
    end
  end
end

-- take checks everything and then writes everything.
local function take(rule)
  local now = clock(ARGV[8])
  local rec = load()
  local tokens = rec.tokens or ''
  if string.find(tokens, ARGV[1], 1, true) then
    redis.call('HSET', KEYS[1], 'tokens', tokens) -- a write, so that a WAIT that follows has something to wait for
    return 'ok'
  end
  if ARGV[3] == '' and rec.state then return 'taken' end
  if moved(rec) then return 'stale' end
  local due, notes, chats = read()
  local word = refused(rule, rec, due, now)
  if word then return word end

  tokens = string.sub(ARGV[1] .. ' ' .. tokens, 1, (#ARGV[1] + 1) * KEPT_TOKENS)
  local set = {'state', ARGV[4], 'version', ARGV[5], 'doc', ARGV[6], 'ends', ARGV[12], 'tokens', tokens}
  if ARGV[3] == '' then
    for i, name in ipairs({'right', 'connector', 'person', 'requester', 'role'}) do
      set[#set + 1] = name
      set[#set + 1] = ARGV[13 + i]
    end
  end
  local gone = {}
  set_timers(rec, due, set, gone)
  redis.call('HSET', KEYS[1], unpack(set))
  if #gone > 0 then redis.call('HDEL', KEYS[1], unpack(gone)) end
  set_indexes(ARGV[3], ARGV[4])
  redis.call('XADD', KEYS[5], '*', 'e', ARGV[7])
  tell(notes, chats, now)
  if ARGV[9] == 'activate' or ARGV[9] == 'end' or ARGV[9] == 'deactivate' then
    free({
      busy = KEYS[11], right = ARGV[14], owner = ARGV[9] .. '|' .. ARGV[2] .. '|' .. ARGV[10], holders = KEYS[10],
      base = ARGV[19], connector = ARGV[15], on = KEYS[3], off = KEYS[4], channel = ARGV[20],
    })
  end
  return 'ok'
end
