/**
 * Scripts of the idempotency claims. KEYS[1] is the claim: a hash of `fingerprint`, `ids` (JSON), `at` (epoch ms), `lease` (epoch ms),
 * `expires` (epoch ms) and, once it is answered, `status` and `body`. PEXPIRE cleans up; what counts is `expires`.
 */
import { CLAIM_KEPT_MS, CLAIM_LEASE_MS } from "../../ports/claims.ts";
import type { RedisScript } from "./client/redis-commands.ts";

/** A claim lies at `<this><tenant>:<key>`; the key of an event's own id begins with the other. */
export const CLAIM_NAME = "claim:";
export const OWN_ID = "id:";

const HOUR_MS = 3600 * 1000;
/**
 * A delivered event is kept for as long as its claim, but from its delivery on: this is how much later that may be. The
 * ledger makes the claim of an event that takes longer last as long as the event.
 */
const RECORD_SLACK_MS = 2 * HOUR_MS;

/**
 * KEYS[2] only for an event's own id: the event's record, a hash whose field `x` is the time from which it is gone
 * ARGV    fingerprint, ids as JSON, time of the acceptance
 * Returns {"claimed", ids as JSON, time of the acceptance, retake 0 or 1} | {"answered", status, body} | {"in-flight", ms} | {"mismatch"}
 * Atomic: of calls at the same time one holds the lease. An id whose event is kept is never free: where its claim is
 * cleaned away, nobody knows the event's body any more, and the call is a mismatch.
 */
export const TAKE_CLAIM: RedisScript = {
  name: "take-claim",
  returns: "text",
  lua: `
local claim = KEYS[1]
local found = redis.call("HMGET", claim, "fingerprint", "ids", "lease", "status", "body", "expires", "at")
local is_kept = KEYS[2] ~= nil and tonumber(redis.call("HGET", KEYS[2], "x") or 0) > now

local function hold()
  redis.call("HSET", claim, "lease", now + ${CLAIM_LEASE_MS}, "expires", now + ${CLAIM_KEPT_MS})
  redis.call("PEXPIRE", claim, ${CLAIM_KEPT_MS + RECORD_SLACK_MS})
end

if not found[1] and is_kept then return {"mismatch"} end
if not found[1] or (tonumber(found[6]) <= now and not is_kept) then
  redis.call("DEL", claim)
  redis.call("HSET", claim, "fingerprint", ARGV[1], "ids", ARGV[2], "at", ARGV[3])
  hold()
  return {"claimed", ARGV[2], ARGV[3], 0}
end
if found[1] ~= ARGV[1] then return {"mismatch"} end
if found[4] then return {"answered", tonumber(found[4]), found[5]} end
local lease = tonumber(found[3])
if lease > now then return {"in-flight", lease - now} end
hold()
return {"claimed", found[2], found[7] or ARGV[3], 1}`,
};

/**
 * ARGV    status, body
 * Returns nothing. Atomic: the first answer stays. Does nothing when there is no such claim.
 */
export const ANSWER_CLAIM: RedisScript = {
  name: "answer-claim",
  returns: "text",
  lua: `
local claim = KEYS[1]
if redis.call("EXISTS", claim) == 0 or redis.call("HEXISTS", claim, "status") == 1 then return end
redis.call("HSET", claim, "status", ARGV[1], "body", ARGV[2], "lease", 0, "expires", now + ${CLAIM_KEPT_MS})
redis.call("PEXPIRE", claim, ${CLAIM_KEPT_MS + RECORD_SLACK_MS})`,
};

/** Returns nothing. Atomic: an answer that came first stays. */
export const ABANDON_CLAIM: RedisScript = {
  name: "abandon-claim",
  returns: "text",
  lua: `
local claim = KEYS[1]
if redis.call("EXISTS", claim) == 0 or redis.call("HEXISTS", claim, "status") == 1 then return end
redis.call("HSET", claim, "lease", 0)`,
};
