-- extend: the end of a running grant moves, and only further out. One whose end has come is not extended any more.
-- Reply guard-end where it must not be.
return {from = {'active'}, guard = function(t)
  local before = tonumber(t.old[OLD_ENDS])
  if tonumber(argv[t.at + ENDS]) <= before or before <= now or ending(t) then return 'guard-end' end
end}
