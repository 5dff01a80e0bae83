-- KEYS: 1 any key. ARGV: 1 the value that was read, empty when there was none, 2 the new one. Returns 1 when it was replaced, else 0.
-- Atomic: writes only over what was read.

if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
