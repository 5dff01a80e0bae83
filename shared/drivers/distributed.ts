/**
 * The distributed driver set: Redis for what must be immediate, Kafka for what must be durable and large. Here alone the
 * drivers of `redis/`, `kafka/` and `partitioned/` meet. Any number of processes share one set of data.
 */
import { isDamage } from "../domain/errors.ts";
import { damagedEndpoints, lostEndpoints } from "../ports/directory.ts";
import type { DistributedConfig } from "../domain/distributed-config.ts";
import type { Clock, Entropy, Hasher, Sealer } from "../lib/ambient.ts";
import { inTime } from "../lib/in-time.ts";
import type { Drivers, StartStep } from "../ports/drivers.ts";
import type { PartitionLog } from "../ports/partition-log.ts";
import type { StoreGauges } from "../ports/store-gauges.ts";
import { withAttemptStream } from "./distributed/attempts.ts";
import type { StoreChecks, StoreName } from "./distributed/condition.ts";
import { createCondition } from "./distributed/condition.ts";
import { createKnownEvents } from "./distributed/known-events.ts";
import { createSpillReader, spillTo } from "./distributed/ledger-spill.ts";
import type { Quarantined } from "./distributed/poison.ts";
import type { LimitEvents } from "./distributed/rate-limiter.ts";
import { createDistributedQueues } from "./distributed/queues.ts";
import type { Recalls } from "./distributed/recalls.ts";
import { createRecalls } from "./distributed/recalls.ts";
import { hasRecords } from "./distributed/has-records.ts";
import { readConsumerLag } from "./distributed/consumer-lag.ts";
import { openLog } from "./distributed/open-log.ts";
import { withSpool } from "./distributed/spooled-log.ts";
import { watchStores } from "./distributed/watch-stores.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { DistributedStores } from "./distributed/stores.ts";
import { openDistributedStores } from "./distributed/stores.ts";
import { readCatalogueAtStart } from "./redis/event-types/event-types.ts";
import { ATTEMPTS_TOPIC } from "./distributed/topics.ts";

/**
 * A gateway appends and reads nothing from Kafka; a processor does both. No event comes to a gateway before it knows the catalogue of
 * event types, be Redis away by then; a processor has no use for that.
 */
export type DistributedRole = "gateway" | "processor";

export interface DistributedOptions {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly hasher: Hasher;
  readonly sealer: Sealer;
  readonly role: DistributedRole;
  readonly config: DistributedConfig;
  /** Null: `CLAIM_BYTES_MAX`. */
  readonly claimBytesMax: number | null;
  /** What an operator should know about the stores, one sentence each. */
  readonly onWarning: (warning: string) => void;
  /** A store went away, is back, or failed while it was there. Must not throw. */
  readonly stores: Telemetry["store"];
  readonly limits: LimitEvents;
  /** A record that could not be read was put aside. Must not throw. */
  readonly onQuarantined: (quarantined: Quarantined) => void;
  /** A look into the auth cache. */
  readonly onCache: (isHit: boolean) => void;
}

export interface DistributedDrivers extends Drivers {
  /** What a processor sets up before it is ready; a gateway needs none of it. */
  readonly steps: readonly StartStep[];
  /** How each store is, asked anew. */
  readonly checks: StoreChecks;
  /** Ledger and stats entries, and attempts for the stream, that were lost since the start. */
  lostCount(): number;
}

export interface OpenedDistributed extends DistributedDrivers {
  readonly gauges: StoreGauges;
}

/** Throws a plain Error that names the setting when a store is not there, refuses us or does not fit. */
export async function openDistributed(options: DistributedOptions): Promise<OpenedDistributed> {
  const { clock, entropy, role, config, onQuarantined } = options;
  // What fails before the watches are set up is told by the error of the opening.
  const suspicions: Record<StoreName, (error: unknown) => void> = {
    kafka: () => undefined,
    redis: () => undefined,
    "redis-cache": () => undefined,
  };
  const onFaultOf = (store: StoreName, error: unknown): void => {
    // A record that does not read back says nothing of its store.
    if (isDamage(error)) options.stores.fault(store, error);
    else suspicions[store](error);
  };
  const onFault = (error: unknown): void => onFaultOf(ofKafka(error) ? "kafka" : "redis", error);
  await using opening = new AsyncDisposableStack();
  let lost = 0;
  const onLost = (count: number): void => void (lost += count);
  // The set is made of the log; of a topic that is lost while it is made, nothing was read yet.
  let recalls: Pick<Recalls, "note" | "look"> = { note: () => Promise.resolve(), look: () => undefined };
  const partitionLog = opening.use(
    await openLog({
      clock,
      entropy,
      kafka: config.kafka,
      clientId: `posthaste-${role}`,
      traffic: options.stores,
      onWarning: options.onWarning,
      onFault: (error) => suspicions.kafka(error),
      beforeTopicsMade: (topics) => recalls.note(topics),
      onTopicsMade: () => recalls.look(),
    }),
  );
  const stores = opening.use(
    await openDistributedStores({
      ...options,
      onLost,
      wasUsed: () => hasRecords(partitionLog, options),
      onFault: (error) => onFaultOf("redis", error),
      onCacheFault: (error) => onFaultOf("redis-cache", error),
      limits: { processes: config[role === "gateway" ? "gatewayCount" : "processorCount"], events: options.limits },
    }),
  );
  if (role === "gateway") await readCatalogueAtStart(stores.eventTypes, onFault);
  const drivers = opening.use(
    composeDistributed({
      partitionLog,
      stores,
      clock,
      entropy,
      role,
      onFault,
      onQuarantined,
      onLost,
      lostCount: () => lost,
    }),
  );
  recalls = opening.use(
    createRecalls({
      ...options,
      lostTopics: stores.lostTopics,
      leases: stores.leases,
      recall: { ...drivers, clock },
      onFault,
    }),
  );
  recalls.look();
  Object.assign(suspicions, opening.use(watchStores(options, drivers.checks)).suspicions);
  const opened = opening.move();
  return {
    ...drivers,
    gauges: { consumerLag: () => readConsumerLag(partitionLog, clock), memory: stores.memory },
    async [Symbol.asyncDispose]() {
      const closed = await inTime(clock, CLOSE_MS, opened.disposeAsync());
      if (closed.kind === "timeout")
        options.stores.unfinished([`stores did not end their connections in ${CLOSE_MS} ms`]);
    },
  };
}

/**
 * Commits, leaves groups, gives leases back, ends connections; without a store that answers none of it comes to an end, and
 * others take over what was held when its lease or session runs out.
 */
const CLOSE_MS = 5000;

/** The set over a partition log and stores that are open; they stay the caller's to dispose, after the set. */
export function composeDistributed(parts: {
  readonly partitionLog: PartitionLog;
  readonly stores: DistributedStores;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly role: DistributedRole;
  readonly onFault: (error: unknown) => void;
  readonly onQuarantined: (quarantined: Quarantined) => void;
  readonly onLost: (count: number) => void;
  readonly lostCount: () => number;
  readonly retryItemsMax?: number;
}): DistributedDrivers {
  const { stores, role, onLost } = parts;
  const opened = new AsyncDisposableStack();
  const partitionLog = withSpool({
    ...parts,
    spool: stores.spool,
    isSpoolReachable: () => stores.isReachable(),
    onAway: parts.onFault,
  });
  const producers = {
    lanes: opened.use(partitionLog.openProducer("lanes")),
    low: opened.use(partitionLog.openProducer("low")),
    poison: opened.use(partitionLog.openProducer("poison")),
    spool: opened.use(parts.partitionLog.openProducer("spool")),
  };
  const ledger = stores.openLedger(spillTo(producers.spool, parts.clock));
  opened.defer(() => ledger.flush());
  const known = opened.use(createKnownEvents({ ...parts, ledger }));
  const missed = opened.use(createSpillReader({ ...parts, ledger }));
  const queues = opened.use(createDistributedQueues({ ...parts, partitionLog, producers, ledger, known }));
  const checks = {
    redis: () => stores.health(),
    cache: stores.cacheHealth,
    kafka: partitionLog.health,
  };
  const condition = createCondition({ role, checks, reading: () => queues.readingHealth(), clock: parts.clock });
  return {
    lanes: queues.lanes,
    retryQueue: queues.retryQueue,
    deadLetters: queues.deadLetters,
    ledger: withAttemptStream(ledger, { producer: producers.low, topic: ATTEMPTS_TOPIC, onLost }),
    stats: stores.stats,
    directory: stores.directory,
    apiKeys: stores.apiKeys,
    eventTypes: stores.eventTypes,
    claims: stores.claims,
    cancellations: stores.cancellations,
    leases: stores.leases,
    begunAttempts: stores.begunAttempts,
    alertBoard: stores.alertBoard,
    rateLimiter: stores.rateLimiter,
    notifier: stores.notifier,
    tail: stores.tail,
    quarantinedRecords: queues.quarantinedRecords,
    cursorSealer: stores.cursorSealer,
    spool: stores.spool,
    missedLedger: missed,
    steps: [
      ...queues.steps,
      { name: "The reader of what the ledger missed", run: () => Promise.resolve(missed.start()) },
    ],
    checks,
    health: () => condition.health(),
    degraded: async () => [
      ...(await condition.degraded()),
      ...lostEndpoints(stores.lostAtMs()),
      ...damagedEndpoints(stores.directory.damaged()),
    ],
    flush: async () => void (await Promise.all([stores.flush(), ledger.flush()])),
    lostCount: () => parts.lostCount() + stores.lostCount(),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** The driver's own errors name their store first. */
function ofKafka(error: unknown): boolean {
  return error instanceof Error && /kafka/i.test(error.message);
}
