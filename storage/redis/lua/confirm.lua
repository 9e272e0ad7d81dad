-- confirm: the connector gave the access, and answered with a receipt.
-- KEYS, ARGV and replies: arrow.lua; guard-receipt.
return take({from = {'activating'}, to = 'active', guard = function(k)
  if not k.has('receipt') then return 'guard-receipt' end
end})
