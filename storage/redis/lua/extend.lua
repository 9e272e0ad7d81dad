-- extend: the end of a running grant moves, and only further out.
-- KEYS, ARGV and replies: arrow.lua; guard-end.
return take({from = {'active'}, guard = function(k)
  if k.ends <= k.ended_before then return 'guard-end' end
end})
