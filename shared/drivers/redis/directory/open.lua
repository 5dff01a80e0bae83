-- KEYS: 1 epoch. ARGV: 1 a fresh epoch. Returns the epoch that holds. Atomic: two processes at a fresh Redis agree.

redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
