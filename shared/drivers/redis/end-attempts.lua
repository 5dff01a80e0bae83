-- KEYS    begun, times: as `begin-attempts.lua` has them
-- ARGV    attempts, 1,024 at most
-- Returns how many there were
-- Atomic

redis.call("ZREM", KEYS[2], unpack(ARGV))
return redis.call("HDEL", KEYS[1], unpack(ARGV))
