-- KEYS: 1 id. Returns the hash of the key of this id, or nil.
-- ARGV: none.

return redis.call('GET', KEYS[1])
