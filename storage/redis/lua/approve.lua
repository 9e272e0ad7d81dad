-- approve: the last approval needed.
-- Reply guard-decider where it must not be.
return {from = {'pending'}, to = 'approved', guard = decided_by_another}
