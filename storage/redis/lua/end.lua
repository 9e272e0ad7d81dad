-- end: the end is due, or somebody asked for it.
return {from = {'active'}, to = 'deactivating'}
