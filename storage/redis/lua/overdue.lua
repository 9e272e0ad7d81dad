-- overdue: the deactivation is not confirmed in time.
return {from = {'deactivating'}}
