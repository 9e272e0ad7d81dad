-- notice: the holder is told that the end is near.
return {from = {'active'}}
