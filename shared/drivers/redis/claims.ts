/**
 * Idempotency claims in Redis: one hash for each key, a lease first and the answer for 24 h after. As durable as the
 * Redis is; an answer that a crash of it took away lets the same event be accepted once more under the same id.
 *
 * The hash has `fingerprint`, `ids` (JSON), `at`, `lease` and `expires` (epoch ms) and, once it is answered, `status` and
 * `body`. PEXPIRE cleans up; what counts is `expires`.
 */
import { assert, unreachable } from "../../lib/assert.ts";
import type { Claim, ClaimRequest, Claims } from "../../ports/claims.ts";
import type { KeySpace } from "./client/key-space.ts";
import type { RedisCommands, RedisReply } from "./client/redis-commands.ts";
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

/** Rejects with `store-unavailable`; the step may have been carried out all the same, and the lease ends by itself. */
export function createRedisClaims(options: {
  readonly commands: Pick<RedisCommands, "run">;
  readonly keys: KeySpace;
  /**
   * The key of the record that an event has as long as it is kept, in the tenant's own shard: a hash whose field `x` is
   * the epoch ms from which it is gone. Without it an id is free 24 h after its answer.
   */
  readonly eventKey?: (tenant: string, eventId: string) => string;
}): Claims {
  const { commands, keys, eventKey } = options;
  const keyOf = (tenant: string, key: string): string =>
    keys.key(keys.shardOf(tenant), `${CLAIM_NAME}${tenant}:${key}`);

  function keysOf({ tenant, key }: ClaimRequest): string[] {
    const claim = keyOf(tenant, key);
    if (eventKey === undefined || !key.startsWith(OWN_ID)) return [claim];
    return [claim, eventKey(tenant, key.slice(OWN_ID.length))];
  }

  return {
    async claim(request) {
      const args = [request.fingerprint, JSON.stringify(request.eventIds), request.acceptedAtMs];
      return toClaim(await commands.run(TAKE_CLAIM, keysOf(request), args));
    },
    async complete(tenant, key, answer) {
      await commands.run(ANSWER_CLAIM, [keyOf(tenant, key)], [answer.status, answer.body]);
    },
    async abandon(tenant, key) {
      await commands.run(ABANDON_CLAIM, [keyOf(tenant, key)], []);
    },
  };
}

function toClaim(reply: RedisReply): Claim {
  assert(Array.isArray(reply), "the answer to a claim is a list");
  const [kind, first, second, third] = reply as readonly RedisReply[];
  switch (kind as Claim["kind"]) {
    case "claimed":
      return {
        kind: "claimed",
        eventIds: JSON.parse(String(first)) as readonly string[],
        acceptedAtMs: Number(second),
        isRetake: third === 1,
      };
    case "answered":
      return { kind: "answered", answer: { status: Number(first), body: String(second) } };
    case "in-flight":
      return { kind: "in-flight", retryAfterMs: Number(first) };
    case "mismatch":
      return { kind: "mismatch" };
    default:
      return unreachable(kind as never);
  }
}
