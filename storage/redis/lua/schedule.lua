-- schedule: approved, to start later.
-- KEYS, ARGV and replies: arrow.lua.
return take({from = {'approved'}, to = 'scheduled'})
