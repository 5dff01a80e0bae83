/**
 * Idempotency claims in Redis: one hash for each key, a lease first and the answer for 24 h after. As durable as the
 * Redis is; an answer that a crash of it took away lets the same event be accepted once more under the same id.
 *
 * The hash has `fingerprint`, `ids` (JSON), `at`, `lease` and `expires` (epoch ms) and, once it is answered, `status` and
 * `body`. PEXPIRE cleans up; what counts is `expires`.
 */
import { assert, unreachable } from "../../lib/assert.ts";
import type { Claim, ClaimRequest, Claims, Unclaimed } from "../../ports/claims.ts";
import type { KeySpace } from "./client/key-space.ts";
import type { RedisCommands, RedisReply } from "./client/redis-commands.ts";
import { CLAIM_BYTES_MAX, CLAIM_KEPT_MS, CLAIM_LEASE_MS, CLAIM_TENANT_SHARE, claimsFull } from "../../ports/claims.ts";
import { luaScript } from "./client/lua-script.ts";
import type { RedisScript } from "./client/redis-commands.ts";

/** A claim lies at `<this><tenant>:<key>`; the key of an event's own id begins with the other. */
export const CLAIM_NAME = "claim:";
export const OWN_ID = "id:";
const WEIGHT_NAME = "claims-weight";

const HOUR_MS = 3600 * 1000;
/**
 * A delivered event is kept for as long as its claim, but from its delivery on: this is how much later that may be. The
 * ledger makes the claim of an event that takes longer last as long as the event.
 */
export const RECORD_SLACK_MS = 2 * HOUR_MS;

/** What Redis 7.0 takes for a claim beside its texts, and for how many hours after its own it lies there at most. */
const CLAIM_BYTES = 500;
const WEIGHT = { CLAIM_BYTES, HOUR_MS, CLAIM_HOURS: Math.ceil((CLAIM_KEPT_MS + RECORD_SLACK_MS) / HOUR_MS) };

export const TAKE_CLAIM: RedisScript = luaScript({
  name: "take-claim",
  returns: "text",
  files: ["claim-weight", "take-claim"],
  constants: { ...WEIGHT, CLAIM_KEPT_MS, CLAIM_LEASE_MS, RECORD_SLACK_MS },
});

export const ANSWER_CLAIM: RedisScript = luaScript({
  name: "answer-claim",
  returns: "text",
  files: ["claim-weight", "answer-claim"],
  constants: { ...WEIGHT, CLAIM_KEPT_MS, RECORD_SLACK_MS },
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
  /** `CLAIM_BYTES_MAX`; each shard has its equal part. */
  readonly bytesMax?: number;
}): Claims {
  const { commands, keys, eventKey, bytesMax = CLAIM_BYTES_MAX } = options;
  const shardBytesMax = Math.floor(bytesMax / keys.shards);
  const keyOf = (tenant: string, key: string): string =>
    keys.key(keys.shardOf(tenant), `${CLAIM_NAME}${tenant}:${key}`);

  function keysOf(tenant: string, key: string): string[] {
    const shard = keys.shardOf(tenant);
    return [keyOf(tenant, key), keys.key(shard, `${WEIGHT_NAME}:${tenant}`), keys.key(shard, WEIGHT_NAME)];
  }

  function eventKeyOf(tenant: string, key: string): string[] {
    return eventKey === undefined || !key.startsWith(OWN_ID) ? [] : [eventKey(tenant, key.slice(OWN_ID.length))];
  }

  function take({ tenant, key, fingerprint, eventIds, acceptedAtMs }: ClaimRequest, kind: "any" | "standing") {
    const bounds = [Math.floor(shardBytesMax * CLAIM_TENANT_SHARE), shardBytesMax];
    const args = [fingerprint, JSON.stringify(eventIds), acceptedAtMs, ...bounds, kind];
    return commands.run(TAKE_CLAIM, [...keysOf(tenant, key), ...eventKeyOf(tenant, key)], args);
  }

  return {
    async claim(request) {
      const claim = toClaim(await take(request, "any"));
      assert(claim.kind !== "unclaimed", "a claim of any kind is made where none stands");
      return claim;
    },
    claimAgain: async (request) => toClaim(await take(request, "standing")),
    async complete(tenant, key, answer) {
      await commands.run(ANSWER_CLAIM, keysOf(tenant, key), [answer.status, answer.body]);
    },
    async abandon(tenant, key) {
      await commands.run(ABANDON_CLAIM, [keyOf(tenant, key)], []);
    },
  };
}

function toClaim(reply: RedisReply): Claim | Unclaimed {
  assert(Array.isArray(reply), "the answer to a claim is a list");
  const [kind, first, second, third] = reply as readonly RedisReply[];
  switch (kind as (Claim | Unclaimed)["kind"] | "full" | "full-tenant") {
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
    case "unclaimed":
      return { kind: "unclaimed" };
    case "full":
      throw claimsFull("all");
    case "full-tenant":
      throw claimsFull("tenant");
    default:
      return unreachable(kind as never);
  }
}
