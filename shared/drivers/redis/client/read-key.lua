-- KEYS: 1 any key. ARGV: none. Returns its value, or nil.

return redis.call('GET', KEYS[1])
