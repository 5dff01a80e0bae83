/**
 * The whole distributed set on Redis, a real one or the model, all under a clock set by hand. Two things are not as in
 * production. The partition log is the model in memory; the lanes meet a real Kafka in `drivers/kafka/lanes.test.ts`. And
 * the harness does what the ports ask of their caller, a processor: it records news in the ledger before `ack` and after
 * `schedule` (`readAtOnce`), for without them this set cannot tell a repeat from a first time.
 */
import { composeDistributed } from "@posthaste/shared/drivers/distributed.ts";
import { createStores } from "@posthaste/shared/drivers/distributed/stores.ts";
import { topicSpecs } from "@posthaste/shared/drivers/distributed/topics.ts";
import type { EdgeDrivers } from "@posthaste/shared/drivers/edge.ts";
import { createEdgeDrivers } from "@posthaste/shared/drivers/edge.ts";
import { createEdgeMemory } from "@posthaste/shared/drivers/edge/memory.ts";
import type { MemoryLog } from "@posthaste/shared/drivers/memory/partition-log.ts";
import { openMemoryLog } from "@posthaste/shared/drivers/memory/partition-log.ts";
import type { LaneBounds } from "@posthaste/shared/drivers/redis/high-lane/append.ts";
import { LEASE_MS } from "@posthaste/shared/drivers/redis/high-lane/lease-keeper.ts";
import { createSealer, systemEntropy } from "@posthaste/shared/drivers/system.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { LedgerEntry } from "@posthaste/shared/ports/ledger.ts";
import type { PartitionLog } from "@posthaste/shared/ports/partition-log.ts";
import type { Scheduled } from "@posthaste/shared/ports/retry-queue.ts";
import { silentTelemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import { MASTER_KEY } from "./embedded-harness.ts";
import type { Harness, HarnessBounds } from "./harness.ts";
import type { RedisProcess, RedisServer } from "../drivers/redis/harness.ts";
import { openRedisHarness } from "../drivers/redis/harness.ts";
import { START_MS, sampleRecord } from "../support/samples.ts";

const KAFKA = {
  brokers: [],
  isTls: false,
  sasl: null,
  prefix: "",
  partitions: 1,
  replication: 1,
  minInSync: 1,
  retentionMs: 8 * 24 * 3600_000,
};
/** What all readers need to join; and what it takes until those of a process that died are missed, and its leases. */
const JOIN_MS = 2000;
const CRASH_MS = LEASE_MS + 12_000;

export const openDistributedHarness = (bounds?: HarnessBounds): Promise<Harness> => openHarness("real", bounds);
/** All but what waits and listens goes over HTTP. */
export const openHttpHarness = (bounds?: HarnessBounds): Promise<Harness> => openHarness("http", bounds);
export const openModelHarness = (bounds?: HarnessBounds): Promise<Harness> => openHarness("model", bounds);
/** The set over a log that is not what it was, and without a way around it: `wrapLog` gives the processes theirs. */
export const openFaultyHarness = (wrapLog: (log: PartitionLog) => PartitionLog): Promise<Harness> =>
  openHarness("model", { spoolBytesMax: 0 }, wrapLog);

/** Over HTTP, and what is accepted goes the way of a gateway without TCP: MEDIUM and LOW by the spool and its relay. */
export const openEdgeHarness = (bounds?: HarnessBounds): Promise<Harness> =>
  openHarness("http", bounds, (log) => log, edgeSetOver);

/** One partition for each topic, because the suites look at the order of all. */
async function openHarness(
  server: RedisServer,
  bounds: HarnessBounds = {},
  wrapLog: (log: PartitionLog) => PartitionLog = (log) => log,
  over: typeof edgeSetOver = (drivers) => drivers,
): Promise<Harness> {
  let broker: MemoryLog | null = null;
  let partitionLog: MemoryLog | null = null;
  const open = openRedisHarness(
    async (process) => {
      broker ??= await openBroker(process);
      partitionLog?.crash();
      partitionLog = broker.forProcess(process.clock);
      return over(await openSet(process, wrapLog(partitionLog), bounds), process, bounds);
    },
    { server },
  );
  const inner = await open(bounds);
  const { clock } = inner;
  await clock.advance(JOIN_MS);
  clock.stepWall(START_MS - clock.now());
  return {
    clock,
    ...(server !== "model" && process.env["POSTHASTE_FULL"] !== "1" ? { daysMax: 3 } : {}),
    get drivers() {
      return readAtOnce(inner.drivers, () => clock.settle());
    },
    async reopen() {
      await inner.reopen();
      await clock.advance(CRASH_MS);
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}

async function openBroker({ worldClock }: RedisProcess): Promise<MemoryLog> {
  const broker = openMemoryLog({ clock: worldClock });
  await broker.ensureTopics(topicSpecs(KAFKA));
  return broker;
}

async function openSet(
  { commands, keys, clock, onFault }: RedisProcess,
  partitionLog: PartitionLog,
  bounds: HarnessBounds,
) {
  const { retryItemsMax } = bounds;
  const onLost = (): void => undefined;
  const stores = await createStores({
    main: { commands, keys },
    cache: { commands, keys },
    clock,
    entropy: systemEntropy,
    sealer: createSealer(MASTER_KEY),
    bounds: { ...bounds, high: highBoundsOf(bounds) },
    isReachable: () => true,
    cacheLine: { isReachable: () => true, isConnected: () => true },
    onFault,
    onCacheFault: onFault,
    limits: { processes: 1, events: silentTelemetry.limit },
    onCache: () => undefined,
    onLost,
    wasUsed: () => Promise.resolve(false),
  });
  const drivers = composeDistributed({
    partitionLog,
    stores,
    clock,
    entropy: systemEntropy,
    role: "processor",
    onFault,
    onQuarantined: () => undefined,
    onLost,
    lostCount: () => 0,
    ...(retryItemsMax === undefined ? {} : { retryItemsMax }),
  });
  // Joining takes time, which passes when the harness lets it.
  for (const step of drivers.steps) void step.run(new AbortController().signal).catch(onFault);
  return drivers;
}

function highBoundsOf({ laneItemsMax = 1_000_000, laneBytesMax = 2 ** 30 }: HarnessBounds): LaneBounds {
  return { itemsMax: laneItemsMax, bytesMax: laneBytesMax };
}

/** A gateway's ports of the edge set before the lanes and queues of a processor. */
function edgeSetOver(
  drivers: Drivers,
  { commands, keys, clock, onFault }: RedisProcess,
  bounds: HarnessBounds,
): Drivers {
  const memory = createEdgeMemory(clock);
  const open = (): EdgeDrivers =>
    createEdgeDrivers({
      commands,
      keys,
      memory,
      clock,
      entropy: systemEntropy,
      sealer: createSealer(MASTER_KEY),
      bounds: { ...bounds, high: highBoundsOf(bounds) },
      onCache: () => undefined,
      onFault,
      onLost: () => undefined,
    });
  // One that records, and reads what it recorded, within a request.
  const { ledger, stats, flush } = open();
  return {
    ...drivers,
    lanes: { ...drivers.lanes, append: (envelopes) => open().lanes.append(envelopes) },
    ledger,
    stats: {
      ...stats,
      // The end of the request.
      add(entries) {
        stats.add(entries);
        void flush();
      },
    },
    directory: eachOfItsOwn(() => open().directory),
    apiKeys: eachOfItsOwn(() => open().apiKeys),
    claims: eachOfItsOwn(() => open().claims),
    cancellations: eachOfItsOwn(() => open().cancellations),
    rateLimiter: eachOfItsOwn(() => open().rateLimiter),
    flush: async () => void (await Promise.all([flush(), drivers.flush()])),
  };
}

/** Each call is that of another request, which has a port of its own. */
function eachOfItsOwn<Port extends object>(open: () => Port): Port {
  return new Proxy({} as Port, { get: (_, name) => Reflect.get(open(), name) as unknown });
}

/** What was appended to a log is read a moment later; the suites look at once. */
function readAtOnce(drivers: Drivers, settle: () => Promise<void>): Drivers {
  return {
    ...drivers,
    lanes: {
      ...drivers.lanes,
      async append(envelopes) {
        await drivers.lanes.append(envelopes);
        await settle();
      },
      // As a processor does, which records what became of an event before it lets go of it.
      async ack(items) {
        drivers.ledger.record(
          items.map(({ envelope: { tenant, id: eventId, acceptedAtMs: atMs } }) => ({
            kind: "fan-out",
            fanOut: { tenant, eventId, atMs, matched: [], matchedCount: 0, filtered: [], filteredCount: 0 },
          })),
        );
        await drivers.lanes.ack(items);
      },
    },
    retryQueue: {
      ...drivers.retryQueue,
      async schedule(items) {
        const result = await drivers.retryQueue.schedule(items);
        if (result.kind === "full") return result;
        drivers.ledger.record(items.flatMap((item) => newsOf(item, "retrying")));
        await settle();
        return result;
      },
      async ack(items) {
        drivers.ledger.record(items.flatMap((item) => newsOf(item, "delivered")));
        await drivers.retryQueue.ack(items);
      },
    },
  };
}

/** As a processor records it. */
function newsOf(item: Scheduled, state: "retrying" | "delivered"): LedgerEntry[] {
  const { endpointId, generation, attempt, notBeforeMs } = item;
  if (endpointId === null || item.cause !== "retry") return [];
  return item.members.map((member) => ({
    kind: "delivery",
    delivery: sampleRecord(member, {
      endpointId,
      generation,
      state,
      attempt: state === "retrying" ? attempt - 1 : attempt,
      result: null,
      nextAttemptAtMs: state === "retrying" ? notBeforeMs : null,
      atMs: notBeforeMs,
    }),
  }));
}
