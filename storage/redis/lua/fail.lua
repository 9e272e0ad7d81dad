-- fail: the connector gave nothing, read back.
-- KEYS, ARGV and replies: arrow.lua.
return take({from = {'activating'}, to = 'failed'})
