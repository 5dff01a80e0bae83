/**
 * What a process of the distributed set can still do while a store is away. One of the two stores is enough to go on with
 * a part of the work, so a balancer keeps the process; without both there is none.
 */
import type { Clock } from "../../lib/ambient.ts";
import { inTime } from "../../lib/in-time.ts";

export type StoreName = "redis" | "redis-cache" | "kafka";

/** A store that has not answered by then counts as away; less than what /readyz waits for all of them. */
const ANSWER_MS = 2000;

/** What goes on without each store, and what does not. `redis-cache` is also a part of what the one Redis does, where there is one. */
const MEANWHILE = {
  gateway: {
    redis:
      "HIGH goes through Kafka; keys not seen lately, and events with an id or an Idempotency-Key, are refused with 503. What is accepted is shown when it is back.",
    "redis-cache": "Each gateway keeps its share of every rate limit by itself, and stats wait.",
    kafka:
      "HIGH goes through Redis; MEDIUM, LOW and retries are kept in Redis until it is back, LOW up to half of the room for them.",
  },
  processor: {
    redis:
      "MEDIUM, LOW and what comes of HIGH through Kafka is delivered to the endpoints that are known here, and shown when it is back.",
    "redis-cache": "Each processor keeps its share of every endpoint's rate limit by itself, and stats wait.",
    kafka: "HIGH is delivered from Redis; MEDIUM, LOW and retries wait, in Redis those that are new.",
  },
} as const satisfies Record<"gateway" | "processor", Record<StoreName, string>>;

/** `hasCache`: a Redis of its own holds what may be evicted. */
export function meanwhileOf(role: "gateway" | "processor", store: StoreName, hasCache: boolean): string {
  const of = MEANWHILE[role];
  return store === "redis" && !hasCache ? `${of.redis} ${of["redis-cache"]}` : of[store];
}

export interface Condition {
  /** Null while a part of the work goes on; else one sentence. */
  health(): Promise<string | null>;
  /** One entry for each store that is away, with what goes on meanwhile; empty when all is well. */
  degraded(): Promise<readonly string[]>;
}

/** Each check gives null, or one sentence on what is wrong with its store. */
export interface StoreChecks {
  readonly redis: () => Promise<string | null>;
  /** Null: there is no Redis of its own for what may be evicted. */
  readonly cache: (() => Promise<string | null>) | null;
  readonly kafka: () => Promise<string | null>;
}

export function createCondition(options: {
  readonly role: "gateway" | "processor";
  readonly checks: StoreChecks;
  /** Null while a processor reads all that it should. */
  readonly reading: () => string | null;
  readonly clock: Pick<Clock, "timer">;
}): Condition {
  const { role, checks, reading, clock } = options;
  let underWay: Promise<Away> | null = null;
  const look = (): Promise<Away> => {
    underWay ??= lookAt(checks, clock).finally(() => {
      underWay = null;
    });
    return underWay;
  };
  return {
    async health() {
      const away = await look();
      const { redis, kafka } = away;
      if (redis !== null && kafka !== null) return `${redis} ${kafka}`;
      // What Kafka's absence keeps from being read is told by `degraded`; anything else is a fault of this process.
      return role === "gateway" || kafka !== null ? null : reading();
    },
    async degraded() {
      const away = await look();
      const told = (why: string | null, store: StoreName): string[] =>
        why === null ? [] : [`${why} ${meanwhileOf(role, store, checks.cache !== null)}`];
      return [...told(away.redis, "redis"), ...told(away.cache, "redis-cache"), ...told(away.kafka, "kafka")];
    },
  };
}

interface Away {
  readonly redis: string | null;
  readonly cache: string | null;
  readonly kafka: string | null;
}

async function lookAt(checks: StoreChecks, clock: Pick<Clock, "timer">): Promise<Away> {
  const [redis, cache, kafka] = await Promise.all([
    answerOf("Redis", checks.redis, clock),
    checks.cache === null ? null : answerOf("The Redis of REDIS_CACHE_URL", checks.cache, clock),
    answerOf("Kafka", checks.kafka, clock),
  ]);
  return { redis, cache, kafka };
}

/** Never rejects. */
export async function answerOf(
  name: string,
  check: () => Promise<string | null>,
  clock: Pick<Clock, "timer">,
): Promise<string | null> {
  const asking = check().catch(() => `${name} cannot be asked for its health.`);
  const asked = await inTime(clock, ANSWER_MS, asking);
  return asked.kind === "done" ? asked.value : `${name} did not answer within ${ANSWER_MS} ms.`;
}
