/**
 * Scripts of the idempotency claims. KEYS[1] is the claim: a hash of `fingerprint`, `ids` (JSON), `at` (epoch ms), `lease` (epoch ms),
 * `expires` (epoch ms) and, once it is answered, `status` and `body`. PEXPIRE cleans up; what counts is `expires`.
 */
import { CLAIM_KEPT_MS, CLAIM_LEASE_MS } from "../../ports/claims.ts";
import { luaScript } from "./client/lua-script.ts";
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

export const TAKE_CLAIM: RedisScript = luaScript({
  name: "take-claim",
  returns: "text",
  files: ["take-claim"],
  constants: { CLAIM_KEPT_MS, CLAIM_LEASE_MS, RECORD_SLACK_MS },
});

export const ANSWER_CLAIM: RedisScript = luaScript({
  name: "answer-claim",
  returns: "text",
  files: ["answer-claim"],
  constants: { CLAIM_KEPT_MS, RECORD_SLACK_MS },
});

export const ABANDON_CLAIM: RedisScript = luaScript({
  name: "abandon-claim",
  returns: "text",
  files: ["abandon-claim"],
});
