-- KEYS    records, order: as `put.lua` has them
-- ARGV    id
-- Returns 1 when it was there, else 0
-- Atomic

redis.call("HDEL", KEYS[1], ARGV[1])
return redis.call("ZREM", KEYS[2], ARGV[1])
