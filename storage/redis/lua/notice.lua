-- notice: the holder is told that the end is near.
-- KEYS, ARGV and replies: arrow.lua.
return take({from = {'active'}})
