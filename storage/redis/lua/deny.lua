-- deny: one denial settles it.
-- Reply guard-decider where it must not be.
return {from = {'pending'}, to = 'denied', guard = decided_by_another}
