-- KEYS    records: as `put.lua` has it
-- ARGV    ids, 1 to 100
-- Returns the JSON of each, nil for what is gone
-- Changes nothing

return redis.call("HMGET", KEYS[1], unpack(ARGV))
