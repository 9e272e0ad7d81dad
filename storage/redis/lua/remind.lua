-- remind: approvers are reminded.
-- KEYS, ARGV and replies: arrow.lua.
return take({from = {'pending'}})
