-- KEYS[1] the lease: a hash of `holder`, `until` (epoch ms) and `for` (ms that it was given for). PEXPIRE cleans up; what counts
--         is `until`, by whatever clock the server has at the time
-- ARGV    holder, ms; 0 ms gives the lease up
-- Returns 0 when the lease is the holder's, or was given up; else the ms until it is free
-- Atomic: of calls at the same time one gets the lease. Nobody ends the lease of another.

local lease = KEYS[1]
local ms = tonumber(ARGV[2])
local found = redis.call("HMGET", lease, "holder", "until", "for")
local until_ms, given_ms = number_or(0, found[2]), math.min(number_or(ms, found[3]), LEASE_MS_MAX)
-- It ends later than when it was just given: the clock was set back since. It is held for its whole time from now on.
if until_ms > now + given_ms and ms > 0 then
  until_ms = now + given_ms
  redis.call("HSET", lease, "until", until_ms, "for", given_ms)
  redis.call("PEXPIRE", lease, math.max(1, given_ms))
end
if found[1] and found[1] ~= ARGV[1] and until_ms > now then return until_ms - now end
if ms > 0 then
  redis.call("HSET", lease, "holder", ARGV[1], "until", now + ms, "for", ms)
  redis.call("PEXPIRE", lease, ms)
elseif found[1] == ARGV[1] then
  redis.call("DEL", lease)
end
return 0
