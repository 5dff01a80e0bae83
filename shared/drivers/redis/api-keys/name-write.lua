-- KEYS: 1 id. ARGV: 1 hash. Writes the way from a key's id to its hash.
-- Returns nothing.

redis.call('SET', KEYS[1], ARGV[1])
