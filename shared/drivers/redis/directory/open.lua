-- KEYS: 1 marker. ARGV: 1 a fresh marker. Returns the marker that holds. Atomic: two processes at a fresh Redis agree.

redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
