-- KEYS[1] the lease: a hash of `holder` and `until` (epoch ms). PEXPIRE cleans up; what counts is `until`
-- ARGV    holder, ms; 0 ms gives the lease up
-- Returns 0 when the lease is the holder's, or was given up; else the ms until it is free
-- Atomic: of calls at the same time one gets the lease. Nobody ends the lease of another.

local lease = KEYS[1]
local ms = tonumber(ARGV[2])
local found = redis.call("HMGET", lease, "holder", "until")
local until_ms = tonumber(found[2] or 0)
if found[1] and found[1] ~= ARGV[1] and until_ms > now then return until_ms - now end
if ms > 0 then
  redis.call("HSET", lease, "holder", ARGV[1], "until", now + ms)
  redis.call("PEXPIRE", lease, ms)
elseif found[1] == ARGV[1] then
  redis.call("DEL", lease)
end
return 0
