-- schedule: approved, to start later.
return {from = {'approved'}, to = 'scheduled'}
