-- deny: one denial settles it.
-- KEYS, ARGV and replies: arrow.lua; guard-decider.
return take({from = {'pending'}, to = 'denied', guard = function(k) return decided_by_another(k.was(), k.is()) end})
