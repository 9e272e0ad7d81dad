-- undo: a late, cancelled or uncertain activation is taken back.
return {from = {'activating'}, to = 'deactivating'}
