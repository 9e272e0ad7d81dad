-- lapse: nobody decided, or nobody started it, in time.
-- KEYS, ARGV and replies: arrow.lua.
return take({from = {'pending', 'approved', 'scheduled'}, to = 'lapsed'})
