/**
 * Idempotency claims in Redis: one hash for each key, a lease first and the answer for 24 h after. As durable as the
 * Redis is; an answer that a crash of it took away lets the same event be accepted once more under the same id.
 */
import { assert, unreachable } from "../../lib/assert.ts";
import type { Claim, ClaimRequest, Claims } from "../../ports/claims.ts";
import { ABANDON_CLAIM, ANSWER_CLAIM, CLAIM_NAME, OWN_ID, TAKE_CLAIM } from "./claims-scripts.ts";
import type { KeySpace } from "./client/key-space.ts";
import type { RedisCommands, RedisReply } from "./client/redis-commands.ts";

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
