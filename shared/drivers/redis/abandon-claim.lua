-- KEYS[1] the claim: see claims-scripts.ts
-- Returns nothing. Atomic: an answer that came first stays.
-- ARGV: none.

local claim = KEYS[1]
if redis.call("EXISTS", claim) == 0 or redis.call("HEXISTS", claim, "status") == 1 then return end
redis.call("HSET", claim, "lease", 0)
