-- end: the end is due, or somebody asked for it.
-- KEYS, ARGV and replies: arrow.lua.
return take({from = {'active'}, to = 'deactivating'})
