-- vote: an approval that does not settle the request yet.
-- Reply guard-decider where it must not be.
return {from = {'pending'}, guard = decided_by_another}
