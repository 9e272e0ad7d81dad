-- cancel: the requester takes it back.
return {from = {'pending', 'approved', 'scheduled'}, to = 'cancelled'}
