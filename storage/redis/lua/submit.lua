-- submit: somebody asks. Reply taken where the id is in use.
return {from = {''}, to = 'pending'}
