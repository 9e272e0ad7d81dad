-- approve: the last approval needed.
-- KEYS, ARGV and replies: arrow.lua; guard-decider.
return take({from = {'pending'}, to = 'approved', guard = function(k) return decided_by_another(k.was(), k.is()) end})
