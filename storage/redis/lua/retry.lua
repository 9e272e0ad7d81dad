-- retry: the target did not do it; tried again later.
return {from = {'activating', 'active', 'deactivating'}}
