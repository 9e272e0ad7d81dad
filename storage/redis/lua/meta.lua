-- meta: what is fixed when a store is first used, written only where it is absent.
-- KEYS     1 meta (hash)
-- ARGV     1 schema   2 number of shards
-- Replies  {schema, number of shards} as recorded

redis.call('HSETNX', KEYS[1], 'schema', ARGV[1])
redis.call('HSETNX', KEYS[1], 'shards', ARGV[2])
return redis.call('HMGET', KEYS[1], 'schema', 'shards')
