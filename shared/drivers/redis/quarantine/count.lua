-- KEYS    order: as `put.lua` has it
-- ARGV    none
-- Returns how many records are kept
-- Changes nothing

return redis.call("ZCARD", KEYS[1])
