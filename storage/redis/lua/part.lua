-- part: a part of an approved bundle begins: its end is written; the connector may be called from here on. An end that is
-- not ahead arms nothing.
-- Replies taken where the id is in use, guard-end where it must not be.
return {from = {''}, to = 'activating', guard = function(t)
  if tonumber(argv[t.at + ENDS]) <= now then return 'guard-end' end
end}
