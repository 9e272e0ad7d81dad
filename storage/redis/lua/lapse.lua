-- lapse: nobody decided, or nobody started it, in time.
return {from = {'pending', 'approved', 'scheduled'}, to = 'lapsed'}
