-- forget: removes events that are safe elsewhere.
-- KEYS     1 events (stream)
-- ARGV     ids in the stream
-- Replies  ok

for _, id in ipairs(ARGV) do
  redis.call('XDEL', KEYS[1], id)
end
return 'ok'
