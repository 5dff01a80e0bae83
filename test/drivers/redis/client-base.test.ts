/** The contracts of the ports that Redis serves by itself, over a real one (REDIS_URL). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRedisClaims } from "@posthaste/shared/drivers/redis/claims.ts";
import { createKeySpace } from "@posthaste/shared/drivers/redis/client/key-space.ts";
import { createRedisNotifier } from "@posthaste/shared/drivers/redis/notifier.ts";
import { createRedisRateLimiter } from "@posthaste/shared/drivers/redis/rate-limiter.ts";
import type { RedisScript } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { createRedisStats } from "@posthaste/shared/drivers/redis/stats.ts";
import { systemEntropy } from "@posthaste/shared/drivers/system.ts";
import type { Claims } from "@posthaste/shared/ports/claims.ts";
import { claimsContract } from "../../contract/claims.contract.ts";
import { notifierContract } from "../../contract/notifier.contract.ts";
import { rateLimiterContract } from "../../contract/rate-limiter.contract.ts";
import type { RedisProcess } from "./harness.ts";
import { openRedisHarness } from "./harness.ts";
import { statsContract } from "../../contract/stats.contract.ts";

rateLimiterContract(
  "redis",
  openRedisHarness(({ commands, keys, clock, bounds }) => ({
    rateLimiter: createRedisRateLimiter({ commands, keys, clock, subjectsMax: bounds.limitSubjectsMax ?? 1000 }),
  })),
);

notifierContract(
  "redis",
  openRedisHarness(({ commands, keys, onFault }) => {
    const notifier = createRedisNotifier({ commands, keys, entropy: systemEntropy, onFault });
    return { notifier, dispose: async () => await notifier[Symbol.asyncDispose]() };
  }),
);

for (const shards of [1, 16]) {
  statsContract(
    `redis with ${shards} shards`,
    openRedisHarness(
      ({ commands, keys, clock }) => {
        const stats = createRedisStats({ commands, keys, clock, entropy: systemEntropy });
        return { stats, flush: () => stats.flush() };
      },
      { shards },
    ),
  );
}

claimsContract(
  "redis",
  openRedisHarness((process) => ({ claims: createClaimsBesideEmbeddedLedger(process) })),
);

const SET_EVENT_END: RedisScript = {
  name: "test-set-event-end",
  returns: "text",
  lua: "redis.call('HSET', KEYS[1], 'x', now + tonumber(ARGV[1]))",
};

/** The ledger of this set is the embedded one: before each claim of an id its record in Redis is made to agree. */
function createClaimsBesideEmbeddedLedger({ commands, keys, others, bounds }: RedisProcess): Claims {
  const eventKey = (tenant: string, eventId: string): string => keys.key(0, `event:${tenant}:${eventId}`);
  const claims = createRedisClaims({ commands, keys, eventKey, bytesMax: bounds.claimBytesMax ?? 1e12 });
  return {
    ...claims,
    async claim(request) {
      if (request.key.startsWith("id:")) {
        const eventId = request.key.slice("id:".length);
        const isKept = (await others.ledger.event(request.tenant, eventId)) !== null;
        await commands.run(SET_EVENT_END, [eventKey(request.tenant, eventId)], [isKept ? 1 : 0]);
      }
      return await claims.claim(request);
    },
  };
}

test("redis notifier: after each reconnection listeners hear that some announcements may have been lost", async () => {
  let connected = (): void => undefined;
  await using notifier = createRedisNotifier({
    commands: {
      publish: () => Promise.resolve(),
      subscribe(_channel, _listener, told) {
        connected = told;
        return Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve() });
      },
    },
    keys: createKeySpace({ shards: 1 }),
    entropy: systemEntropy,
    onFault: assert.ifError,
  });
  const heard: string[] = [];
  notifier.subscribe(({ kind }) => void heard.push(kind));
  connected();
  assert.deepEqual(heard, []);
  connected();
  connected();
  assert.deepEqual(heard, ["some-were-lost", "some-were-lost"]);
});
