-- KEYS    begun: as `begin-attempts.lua` has it
-- ARGV    attempts, 64 at most
-- Returns for each how many beginnings of it never ended; what is no count of ours counts nothing
-- Changes nothing

local counts = {}
for index, text in ipairs(redis.call("HMGET", KEYS[1], unpack(ARGV))) do
  local unended = number_or(0, text)
  counts[index] = unended >= 0 and unended <= COUNT_MAX and unended or 0
end
return counts
