/** API keys with rate limits, and publishers who want more than these grant: in bursts, some of them while Redis is away. */
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";
import { hashApiKey } from "@posthaste/shared/domain/api-key.ts";
import type { Priority } from "@posthaste/shared/domain/event.ts";
import type { KeyRateLimit } from "@posthaste/shared/domain/key-rate-limit.ts";
import { testHasher } from "../../support/ambient.ts";
import type { Chance } from "../chance.ts";
import type { EventPlan, PublishPlan } from "../scenario.ts";
import type { Span } from "./fleet-scenario.ts";

export interface LimitedKey {
  readonly index: number;
  readonly text: string;
  readonly rate: KeyRateLimit;
  readonly publishes: readonly PublishPlan[];
}

const KEYS_MAX = 2;
const BURSTS_MAX = 4;
const PRIORITIES: readonly Priority[] = ["HIGH", "MEDIUM", "LOW"];

export function drawLimitedKeys(
  chance: Chance,
  world: {
    readonly stormMs: number;
    readonly redisAway: readonly Span[];
    readonly publishes: readonly PublishPlan[];
  },
): LimitedKey[] {
  const tenants = [...new Set(world.publishes.map(({ tenant }) => tenant))];
  let n = world.publishes.reduce((sum, { events }) => sum + events.length, 0);
  return Array.from({ length: chance.whole(1, KEYS_MAX) }, (_, index) => {
    const rate: KeyRateLimit = {
      limit: chance.whole(1, 6),
      windowMs: chance.magnitude(500, 20_000),
      failureMode: chance.pick(["local", "local", "local", "closed", "open"]),
    };
    const publishes = drawBursts(chance, world).flatMap((fromMs) => {
      const count = rate.limit + chance.whole(1, 4);
      const everyMs = chance.magnitude(1, Math.max(1, Math.floor(rate.windowMs / count)));
      return Array.from({ length: count }, (__, at): PublishPlan => {
        const size = chance.isTrue(0.1) ? chance.whole(1, rate.limit) : 1;
        const events = Array.from({ length: size }, () => drawEvent(chance, n++));
        return { atMs: fromMs + at * everyMs, tenant: chance.pick(tenants), events };
      });
    });
    return { index, text: `simulated-limited-key-00000${index}`, rate, publishes };
  });
}

/** One early, so that gateways know the key when Redis goes. */
function drawBursts(chance: Chance, { stormMs, redisAway }: Parameters<typeof drawLimitedKeys>[1]): number[] {
  const later = Array.from({ length: chance.whole(1, BURSTS_MAX) }, () => {
    const span = redisAway.length > 0 && chance.isTrue(0.8) ? chance.pick(redisAway) : { fromMs: 0, toMs: stormMs };
    return chance.whole(span.fromMs, span.toMs);
  });
  return [chance.whole(50, 1000), ...later];
}

function drawEvent(chance: Chance, n: number): EventPlan {
  const pad = chance.magnitude(1, 400);
  return { n, type: "ping", priority: chance.pick(PRIORITIES), identity: "none", deliverAfterMs: null, pad };
}

/** For any tenant, so that its events reach all endpoints. */
export function recordOf({ index, text, rate }: LimitedKey, createdAtMs: number): ApiKey {
  return {
    id: `key_0000000000000000000000000${index + 1}`,
    hash: hashApiKey(text, testHasher),
    hint: "simulate…",
    name: `simulation, limited ${index}`,
    tenant: null,
    scopes: ["publish", "manage", "read"],
    rateLimit: rate,
    createdAtMs,
    expiresAtMs: null,
    revokedAtMs: null,
  };
}
