-- arm: the end is written; the connector may be called from here on. An end that is not ahead arms nothing.
-- Reply guard-end where it must not be.
return {from = {'approved', 'scheduled'}, to = 'activating', guard = function(t)
  if tonumber(argv[t.at + ENDS]) <= now then return 'guard-end' end
end}
