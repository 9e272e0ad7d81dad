-- undo: a late, cancelled or uncertain activation is taken back.
-- KEYS, ARGV and replies: arrow.lua.
return take({from = {'activating'}, to = 'deactivating'})
