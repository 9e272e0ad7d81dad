-- taken.lua is the end of the program that take.lua begins; the rules of the arrows stand between them.

-- read gives the arrows of a call: where in ARGV each stands (at), its record's key, what is stored of it (old), and the
-- claim it finishes (held), with whether others wait for that.
local function read()
  local arrows, names, claims, at = {}, {}, {}, 5
  for n = 1, tonumber(argv[4]) do
    local id, timer = argv[at + ID], argv[at + TIMER]
    local key = base .. 'r:' .. id
    local t = {at = at, key = key, old = redis.call('HMGET', key, 'state', 'version', 'tokens', 'ends', 'right', 'person', 'requester', 'timers')}
    arrows[n] = t
    if timer ~= '' then
      local name = SIDE[timer] and argv[at + RIGHT] or timer .. '|' .. id
      names[#names + 1] = name
      names[#names + 1] = name .. WAITING
      claims[#claims + 1] = t
    end
    at = at + NOTES + 1 + tonumber(argv[at + NOTES])
  end
  if #names > 0 then
    local held = redis.call('HMGET', KEYS[1], unpack(names))
    for i, t in ipairs(claims) do
      t.held, t.waiting = held[2 * i - 1], held[2 * i]
    end
  end
  return arrows
end

-- timers_missing tells whether the timers do not fit the state: one that ends has none, any other has what it needs.
local function timers_missing(t)
  local to, timers = argv[t.at + TO], argv[t.at + TIMERS]
  if TERMINAL[to] then return timers ~= '' end
  for _, timer in ipairs(NEEDS[to] or {}) do
    if not due_of(timers, timer) then return true end
  end
  return timers == ''
end

-- moved tells that the record, or the claim, is not the one that the arrow was made from.
local function moved(t, from)
  local at, old = t.at, t.old
  local version, timer = argv[at + VERSION], argv[at + TIMER]
  if from == '' then return version ~= '1' end
  if old[OLD_STATE] ~= from or tonumber(old[OLD_VERSION]) ~= tonumber(version) - 1 then return true end
  if timer == '' then return false end
  local _, owner = claimed(t.held)
  return owner ~= timer .. '|' .. argv[at + ID] .. '|' .. argv[at + FENCE] or not due_of(old[OLD_TIMERS] or '', timer)
end

local function allows(rule, from, to)
  if to ~= (rule.to or from) then return false end
  for _, state in ipairs(rule.from) do
    if state == from then return true end
  end
end

-- refused gives the word for an arrow that must not be taken, or nothing.
local function refused(t)
  local at, old = t.at, t.old
  local name, from = argv[at + ARROW], argv[at + FROM]
  if name == 'restore' then
    if old[OLD_VERSION] and tonumber(old[OLD_VERSION]) >= tonumber(argv[at + VERSION]) then return 'newer' end
    return timers_missing(t) and 'guard-timer' or nil
  end
  if from == '' and old[OLD_STATE] then return 'taken' end
  if moved(t, from) then return 'stale' end
  local rule = rules[name]()
  if not allows(rule, from, argv[at + TO]) then return 'move' end
  if from ~= '' and (old[OLD_RIGHT] ~= argv[at + RIGHT] or old[OLD_PERSON] ~= argv[at + PERSON] or old[OLD_REQUESTER] ~= argv[at + REQUESTER]) then
    return 'guard-request'
  end
  if timers_missing(t) then return 'guard-timer' end
  return rule.guard and rule.guard(t)
end

-- Commands that take any number of members are collected over all arrows, by command and key, and run at the end.
local later = {ZREM = {}, ZADD = {}, HDEL = {}, SADD = {}, SREM = {}}
local near = {} -- lanes by key, with the members that may be the earliest now

local function collect(command, key, a, b)
  local list = later[command][key]
  if not list then
    later[command][key] = {a, b}
    return
  end
  list[#list + 1] = a
  list[#list + 1] = b
end

-- set_timers arms exactly the timers of the document. One that stays as it is keeps its place in the lane, which is later
-- while it is claimed or waits for its right, unless it is the one that this arrow finishes.
local function set_timers(t)
  local at, was, gone = t.at, t.old[OLD_TIMERS] or '', t.old[OLD_TIMERS] or ''
  local is, id, connector, finished = argv[at + TIMERS], argv[at + ID], argv[at + CONNECTOR], argv[at + TIMER]
  if is ~= '' then
    for timer, due in string.gmatch(is, '(%a+)=(%d+)') do
      local before = due_of(was, timer)
      if due ~= before or timer == finished then
        local key, member = lane_of(base, timer, connector), timer .. '|' .. id
        collect('ZADD', key, due, member)
        if tonumber(due) < now + NEAR then
          near[key] = near[key] or {lane = SIDE[timer] and SIDE[timer] .. connector or 'clock'}
          near[key][member] = true
        end
        if before and not SIDE[timer] then collect('HDEL', KEYS[1], member) end
      end
    end
  end
  if was == '' then return end
  for timer in string.gmatch(was, '(%a+)=') do
    if is == '' or not due_of(is, timer) then
      local member = timer .. '|' .. id
      collect('ZREM', lane_of(base, timer, connector), member)
      if not SIDE[timer] then collect('HDEL', KEYS[1], member) end
    end
  end
end

local function set_indexes(t, new)
  local at, old = t.at, t.old[OLD_STATE]
  local id, submitted, to = argv[at + ID], argv[at + SUBMITTED], argv[at + TO]
  if new then
    local person, requester = argv[at + PERSON], argv[at + REQUESTER]
    collect('ZADD', KEYS[3], submitted, id)
    collect('ZADD', base .. 'p:' .. person, submitted, id)
    if requester ~= person then collect('ZADD', base .. 'p:' .. requester, submitted, id) end
    if not TERMINAL[to] then collect('ZADD', KEYS[4], submitted, id) end
  end
  if TERMINAL[to] and old then collect('ZREM', KEYS[4], id) end
  if HOLDS[to] and not HOLDS[old] then collect('SADD', base .. 'right:' .. argv[at + RIGHT], id) end
  if HOLDS[old] and not HOLDS[to] then collect('SREM', base .. 'right:' .. argv[at + RIGHT], id) end
  if argv[at + OVERDUE] == '1' then
    collect('SADD', KEYS[5], id)
  elseif old == 'deactivating' then
    collect('SREM', KEYS[5], id)
  end
end

local function write(t)
  local at, old = t.at, t.old
  local new = argv[at + FROM] == '' -- also what is restored
  local token = argv[at + TOKEN]
  local tokens = string.sub(token .. ' ' .. (old[OLD_TOKENS] or ''), 1, (#token + 1) * KEPT_TOKENS)
  redis.call('XADD', KEYS[2], '*', 'e', argv[at + EVENT]) -- first: what fails undoes nothing
  set_timers(t)
  if new then
    redis.call('HSET', t.key, 'state', argv[at + TO], 'version', argv[at + VERSION], 'doc', argv[at + DOC], 'ends', argv[at + ENDS],
      'timers', argv[at + TIMERS], 'tokens', tokens, 'right', argv[at + RIGHT], 'connector', argv[at + CONNECTOR],
      'person', argv[at + PERSON], 'requester', argv[at + REQUESTER], 'role', argv[at + ROLE])
  else
    redis.call('HSET', t.key, 'state', argv[at + TO], 'version', argv[at + VERSION], 'doc', argv[at + DOC], 'ends', argv[at + ENDS],
      'timers', argv[at + TIMERS], 'tokens', tokens)
  end
  set_indexes(t, new)
  if SIDE[argv[at + TIMER]] then collect('HDEL', KEYS[1], argv[at + RIGHT], argv[at + RIGHT] .. WAITING) end
end

-- tell queues the notes of an arrow for every chat.
local function tell(t, topics)
  local n = tonumber(argv[t.at + NOTES])
  if n == 0 then return end
  for i = 6, #KEYS do
    redis.call('RPUSH', KEYS[i] .. ':q:' .. argv[t.at + ID], unpack(argv, t.at + NOTES + 1, t.at + NOTES + n))
  end
  topics[#topics + 1] = ms(now)
  topics[#topics + 1] = argv[t.at + ID]
end

-- finish runs what was collected, and nudges the lanes and chats that have something new to do.
local function finish(topics)
  for command, keys in pairs(later) do
    for key, list in pairs(keys) do
      redis.call(command, key, unpack(list))
    end
  end
  for key, members in pairs(near) do
    if members[redis.call('ZRANGE', key, 0, 0)[1]] then redis.call('PUBLISH', channel, members.lane) end
  end
  if #topics == 0 then return end
  for i = 6, #KEYS do
    if redis.call('ZADD', KEYS[i], 'NX', unpack(topics)) > 0 then
      redis.call('PUBLISH', channel, string.sub(KEYS[i], #base + 1))
    end
  end
end

local words, taking, topics = {}, {}, {}
for n, t in ipairs(read()) do
  local tokens = t.old[OLD_TOKENS]
  if tokens and string.find(tokens, argv[t.at + TOKEN], 1, true) then
    redis.call('HSET', t.key, 'tokens', tokens) -- a write, so that a WAIT that follows has something to wait for
    words[n] = 'ok'
  else
    words[n] = refused(t) or 'ok'
    if words[n] == 'ok' then taking[#taking + 1] = t end
  end
end
for _, t in ipairs(taking) do
  write(t)
  tell(t, topics)
end
finish(topics)
for _, t in ipairs(taking) do
  if t.waiting and SIDE[argv[t.at + TIMER]] then wake(base, argv[t.at + RIGHT], argv[t.at + CONNECTOR], channel) end
end
return words
