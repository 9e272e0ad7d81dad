-- extend: the end of a running grant moves, and only further out. One whose end has come is not extended any more.
-- KEYS, ARGV and replies: arrow.lua; guard-end.
return take({from = {'active'}, guard = function(k)
  if k.ends <= k.ended_before or k.ended_before <= k.now or k.ending then return 'guard-end' end
end})
