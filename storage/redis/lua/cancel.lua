-- cancel: the requester takes it back.
-- KEYS, ARGV and replies: arrow.lua.
return take({from = {'pending', 'approved', 'scheduled'}, to = 'cancelled'})
