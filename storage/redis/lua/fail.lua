-- fail: the connector gave nothing, read back.
return {from = {'activating'}, to = 'failed'}
