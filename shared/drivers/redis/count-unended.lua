-- KEYS    begun: as `begin-attempts.lua` has it
-- ARGV    attempt
-- Returns how many beginnings of it never ended; what does not read as a number counts nothing
-- Changes nothing

return tonumber(redis.call("HGET", KEYS[1], ARGV[1]) or 0) or 0
