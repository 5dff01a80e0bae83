/** The distributed set in a month: a gateway and a processor on the models of Redis and of the log, and what lies in them. */
import { startFleetProcess } from "../simulation/fleet/fleet-process.ts";
import type { FleetKind, FleetProcess } from "../simulation/fleet/fleet-process.ts";
import { createVirtualRedis } from "../simulation/fleet/virtual-redis.ts";
import { createTrace } from "../simulation/trace.ts";
import { DEFAULT_LIMITS } from "@posthaste/gateway/request/deps.ts";
import { saveOperatorKey } from "@posthaste/gateway/resources/operator-key.ts";
import { DEAD_LETTER_TOPIC, topicSpecs } from "@posthaste/shared/drivers/distributed/topics.ts";
import { openMemoryLog } from "@posthaste/shared/drivers/memory/partition-log.ts";
import type { MemoryLog } from "@posthaste/shared/drivers/memory/partition-log.ts";
import { createSealer } from "@posthaste/shared/drivers/system.ts";
import { assert } from "@posthaste/shared/lib/assert.ts";
import type { TopicSpec } from "@posthaste/shared/ports/partition-log.ts";
import { testHasher } from "../support/ambient.ts";
import type { RedisModel } from "../support/redis-model/redis-model.ts";
import { MONTH_BOUNDS, MONTH_LIMITS } from "./month-bounds.ts";
import type { MonthPlace, MonthSystem } from "./month-world.ts";
import { OPERATOR_KEY } from "./month-world.ts";
import type { Sizes } from "./sizes.ts";

const KAFKA = {
  brokers: [],
  isTls: false,
  sasl: null,
  prefix: "",
  partitions: 1,
  replication: 1,
  minInSync: 1,
} as const;

export async function openMonthDistributed(place: MonthPlace, countMaps: () => Sizes): Promise<MonthSystem> {
  const { clock, chance, network, stepper } = place;
  const { entropy } = chance;
  const trace = createTrace({ now: () => clock.elapsedMs(), linesKept: 50 });
  const redis = createVirtualRedis({
    clock,
    chance: chance.fork(),
    isLost: () => false,
    onCarriedOut: () => undefined,
  });
  const partitionLog = openMemoryLog({ clock, partitions: 1 });
  const topics = topicSpecs({ ...KAFKA, retentionMs: place.weekMs });
  await stepper.settled(partitionLog.ensureTopics(topics));
  const shared = {
    redis,
    shards: 1,
    count: 1,
    wasUsed: () => Promise.resolve(false),
    rateLimits: { noteLocal: () => undefined },
    partitionLog,
    sealer: createSealer(new Uint8Array(32).fill(7)),
    limits: MONTH_LIMITS,
    gatewayLimits: DEFAULT_LIMITS,
    worldNow: () => clock.now(),
    bounds: MONTH_BOUNDS,
  };
  const start = (index: number, kind: FleetKind): FleetProcess => {
    const own = clock.forProcess();
    const transportFor = () => network.transportOf(own);
    return startFleetProcess({
      ...shared,
      index,
      kind,
      clock: own,
      chance: chance.fork(),
      trace,
      movedAtMs: new Map(),
      transportFor,
    });
  };
  const [gateway, processor] = [start(0, "gateway"), start(1, "processor")];
  await stepper.runUntil(() => gateway.isReady() && processor.isReady());
  const apiKeys = gateway.drivers()?.apiKeys;
  assert(apiKeys !== undefined, "a gateway that is ready has its stores");
  const ambient = { clock, entropy, hasher: testHasher };
  await stepper.settled(saveOperatorKey({ ...ambient, apiKeys }, OPERATOR_KEY, "operator key of the month"));
  return {
    fetch: (request) => gateway.fetch(request),
    sizes: async () => {
      assert(trace.violations().length === 0, trace.violations().join("\n"));
      return new Map([...redisSizes(redis.model), ...(await topicRecords(partitionLog, topics)), ...countMaps()]);
    },
    async [Symbol.asyncDispose]() {
      await gateway.stop();
      await processor.stop();
    },
  };
}

/** Keys, entries and bytes by prefix: the first two parts of the name, without the shard's tag. */
function redisSizes(model: RedisModel): Sizes {
  const sizes = new Map<string, number>();
  const add = (name: string, more: number): void => void sizes.set(name, (sizes.get(name) ?? 0) + more);
  for (const { key, entries, bytes } of model.weights()) {
    const prefix = key
      .replace(/^\{s\d+\}/, "")
      .split(":")
      .slice(0, 2)
      .filter(isFamily)
      .join(":");
    add(`redis ${prefix} keys`, 1);
    add(`redis ${prefix} entries`, entries);
    add(`redis ${prefix} bytes`, bytes);
    add("redis bytes", bytes);
  }
  return sizes;
}

/** Records that the topic still has. The dead letters' topic is compacted by Kafka itself, which the model does not do. */
async function topicRecords(log: MemoryLog, topics: readonly TopicSpec[]): Promise<Sizes> {
  const counted = topics.filter(({ topic }) => topic !== DEAD_LETTER_TOPIC);
  const sizes = new Map<string, number>();
  for (const { topic } of counted) {
    const parts = await log.depth("census", topic);
    sizes.set(
      `topic ${topic} records`,
      parts.reduce((sum, { start, end }) => sum + end - start, 0),
    );
  }
  return sizes;
}

/** Not a tenant's name, an hour, an id or a hash. */
function isFamily(part: string): boolean {
  return !/^(?:acme|beta|guest-\d+|nobody-\d+)$|\d{2,}|[0-9a-f]{16,}/.test(part);
}
