-- confirm: the connector gave the access, or gives it for longer, and answered with a receipt.
-- Reply guard-receipt where it must not be.
return {from = {'activating', 'active'}, to = 'active', guard = function(t)
  if not has(t, 'receipt') then return 'guard-receipt' end
end}
