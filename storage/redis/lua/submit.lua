-- submit: somebody asks. Reply taken where the id is in use.
-- KEYS, ARGV and replies: arrow.lua.
return take({from = {''}, to = 'pending'})
