-- adopt: something of ours that no live grant explains was found at the target, and is taken away. Reply taken where the id
-- is in use.
return {from = {''}, to = 'deactivating'}
