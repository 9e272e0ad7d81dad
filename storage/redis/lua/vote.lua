-- vote: an approval that does not settle the request yet.
-- KEYS, ARGV and replies: arrow.lua; guard-decider.
return take({from = {'pending'}, guard = function(k) return decided_by_another(k.was(), k.is()) end})
