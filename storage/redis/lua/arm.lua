-- arm: the end is written; the connector may be called from here on. An end that is not ahead arms nothing.
-- KEYS, ARGV and replies: arrow.lua; guard-end.
return take({from = {'approved', 'scheduled'}, to = 'activating', guard = function(k)
  if k.ends <= k.now then return 'guard-end' end
end})
