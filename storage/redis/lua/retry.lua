-- retry: the target did not do it; tried again later.
-- KEYS, ARGV and replies: arrow.lua.
return take({from = {'activating', 'deactivating'}})
