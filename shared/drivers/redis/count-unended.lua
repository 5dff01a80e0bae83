-- KEYS    begun: as `begin-attempts.lua` has it
-- ARGV    attempt
-- Returns how many beginnings of it never ended; what is no count of ours counts nothing
-- Changes nothing

local unended = number_or(0, redis.call("HGET", KEYS[1], ARGV[1]))
return unended >= 0 and unended <= COUNT_MAX and unended or 0
