-- close: the target was read back, and what was found is in the document.
-- KEYS, ARGV and replies: arrow.lua; guard-removal.
return take({from = {'active', 'deactivating'}, to = 'ended', guard = function(k)
  if not k.has('removal') then return 'guard-removal' end
end})
