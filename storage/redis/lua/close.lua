-- close: the target was read back, and what was found is in the document.
-- Reply guard-removal where it must not be.
return {from = {'active', 'deactivating'}, to = 'ended', guard = function(t)
  if not has(t, 'removal') then return 'guard-removal' end
end}
