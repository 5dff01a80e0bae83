-- KEYS[1] the claim: see claims-scripts.ts
-- KEYS[2] what the claims of the tenant weigh; KEYS[3] those of the shard: see claim-weight.lua
-- ARGV    status, body
-- Returns nothing. Atomic: the first answer stays. Does nothing when there is no such claim.

local claim = KEYS[1]
if redis.call("EXISTS", claim) == 0 or redis.call("HEXISTS", claim, "status") == 1 then return end
redis.call("HSET", claim, "status", ARGV[1], "body", ARGV[2], "lease", 0, "expires", now + CLAIM_KEPT_MS)
redis.call("PEXPIRE", claim, CLAIM_KEPT_MS + RECORD_SLACK_MS)
weigh(KEYS[2], #ARGV[2])
weigh(KEYS[3], #ARGV[2])
