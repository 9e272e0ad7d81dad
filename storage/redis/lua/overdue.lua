-- overdue: the deactivation is not confirmed in time.
-- KEYS, ARGV and replies: arrow.lua.
return take({from = {'deactivating'}})
