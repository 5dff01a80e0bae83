-- KEYS: 1 any key. ARGV: 1 value. Sets it where there is none. Returns the value that holds.
-- Atomic: two processes at a fresh Redis agree.

redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
