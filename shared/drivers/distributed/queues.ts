/** The lanes, the retry queue and the record of dead letters of the distributed set: what must outlive every process. */
import type { Clock, Entropy } from "../../lib/ambient.ts";
import type { Envelope } from "../../domain/envelope.ts";
import { laneOf } from "../../domain/envelope.ts";
import type { Lane } from "../../domain/event.ts";
import { PosthasteError } from "../../domain/errors.ts";
import type { DeadLetters } from "../../ports/dead-letters.ts";
import type { DroppedDeadLetter } from "../../ports/dead-letter-index.ts";
import type { StartStep } from "../../ports/drivers.ts";
import type { Lanes } from "../../ports/lanes.ts";
import type { LedgerEntry } from "../../ports/ledger.ts";
import type { QuarantinedRecords } from "../../ports/quarantined-records.ts";
import type { RecordProducer, PartitionLog } from "../../ports/partition-log.ts";
import type { RetryQueue } from "../../ports/retry-queue.ts";
import { scheduledEvent } from "../../ports/retry-queue.ts";
import { createPartitionedDeadLetters } from "../partitioned/dead-letters/dead-letters.ts";
import { createPartitionedLanes } from "../partitioned/lanes/lanes.ts";
import type { OnPoison } from "../partitioned/window/quarantine.ts";
import { OFFSET_WINDOW_BOUNDS } from "../partitioned/window/offset-window.ts";
import { DELAY_TOPICS_BOUNDS, createDelayTopics } from "../partitioned/delay-topics/delay-topics.ts";
import { afterWait } from "../partitioned/delay-topics/after-wait.ts";
import { DELAYS_MS, createDelayPlan } from "../partitioned/delay-topics/plan.ts";
import type { RedisLedger } from "../redis/ledger/ledger.ts";
import type { KnownEvents } from "./known-events.ts";
import { createDistributedLanes } from "./lanes.ts";
import type { Quarantined } from "./poison.ts";
import { createPoisonTopic } from "./poison.ts";
import { createQuarantinedRecords } from "./quarantined-records.ts";
import { withKnownReplays } from "./retries.ts";
import type { SpoolRelay } from "./spool-relay.ts";
import { createSpoolRelay } from "./spool-relay.ts";
import type { DistributedStores } from "./stores.ts";
import { DEAD_LETTER_TOPIC, GROUPS, HIGH_SOURCE, LANE_TOPICS, retryTopic } from "./topics.ts";

export interface DistributedQueuesOptions {
  readonly partitionLog: PartitionLog;
  readonly stores: DistributedStores;
  readonly ledger: Pick<RedisLedger, "record" | "release">;
  readonly known: KnownEvents;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly producers: DistributedProducers;
  /** By default `DELAY_TOPICS_BOUNDS.itemsMax`. */
  readonly retryItemsMax?: number;
  /** Told of what failed and is repeated. Must not throw. */
  readonly onFault: (error: unknown) => void;
  /** A record that could not be read was put aside. Must not throw. */
  readonly onQuarantined: (quarantined: Quarantined) => void;
}

/** They do not wait for each other: a large batch of LOW holds up neither MEDIUM nor what is put aside. */
export interface DistributedProducers {
  readonly lanes: RecordProducer;
  readonly low: RecordProducer;
  readonly poison: RecordProducer;
  /** Of the relay, which is what the spool waits for: this one does not go by it. */
  readonly spool: RecordProducer;
}

export interface DistributedQueues extends AsyncDisposable {
  readonly lanes: Lanes;
  readonly retryQueue: RetryQueue;
  readonly deadLetters: DeadLetters;
  readonly quarantinedRecords: QuarantinedRecords;
  /** What a processor does before it reads; in this order. */
  readonly steps: readonly StartStep[];
  /** Null while everything is read; else one sentence. */
  readingHealth(): string | null;
}

/**
 * An event whose deliveries hold up its partition is tried again elsewhere after a whole attempt and a little; one of LOW
 * may wait for its group before that, a minute at most. Sooner the copy would go out beside the event itself.
 */
const OFFLOADED_MS = { high: 20_000, medium: 20_000, low: 80_000 } as const satisfies Record<Lane, number>;

/** LOW is read less far ahead: what is decoded for it keeps HIGH waiting, and nothing waits for LOW. */
const WINDOW_BOUNDS = {
  high: OFFSET_WINDOW_BOUNDS,
  medium: OFFSET_WINDOW_BOUNDS,
  low: { ...OFFSET_WINDOW_BOUNDS, recordsMax: 2000 },
};

/** Reads nothing until the steps are run. Dispose it when nobody takes any more. */
export function createDistributedQueues(options: DistributedQueuesOptions): DistributedQueues {
  const { partitionLog, stores, ledger, clock, entropy, producers, onFault } = options;
  const index = stores.quarantineIndex;
  const onPoison = createPoisonTopic({ ...options, producer: producers.poison, index });
  const common = { partitionLog, clock, entropy, onPoison };
  const delayTopics = createDelayTopics({
    ...common,
    delaysMs: DELAYS_MS,
    group: GROUPS.retries,
    topicOf: retryTopic,
    bounds: { ...DELAY_TOPICS_BOUNDS, itemsMax: options.retryItemsMax ?? DELAY_TOPICS_BOUNDS.itemsMax },
    onFault: (_what, error) => onFault(error),
  });
  const partitionedLanes = createPartitionedLanes({
    ...common,
    topics: LANE_TOPICS,
    group: GROUPS.lanes,
    producers: { high: producers.lanes, medium: producers.lanes, low: producers.low },
    windowBounds: WINDOW_BOUNDS,
    offload: (envelopes) => offload(delayTopics, envelopes, clock.now()),
  });
  const high = stores.openHighLane((value, reason) =>
    onPoison({ topic: HIGH_SOURCE, partition: 0, offset: 0, headers: {}, value, reason }),
  );
  const deadLetters = createPartitionedDeadLetters({
    ...common,
    topic: DEAD_LETTER_TOPIC,
    group: GROUPS.deadLetters,
    index: stores.deadLetterIndex,
    onFault,
    onLate: (tenant, endpointId) => stores.notifier.publish({ kind: "directory-changed", tenant, endpointId }),
    onRemoved: (keys) => void ledger.release(keys).catch(onFault),
    onExpired: (dropped, reason) =>
      ledger.record(dropped.map((deadLetter) => expired(deadLetter, reason, clock.now()))),
  });
  const relay = relayOf(options, onPoison);
  return {
    lanes: createDistributedLanes({
      clock,
      high,
      partitioned: partitionedLanes,
      known: options.known,
      isRedisReachable: () => stores.isReachable(),
      onFault,
    }),
    retryQueue: withKnownReplays(delayTopics, options.known),
    deadLetters,
    quarantinedRecords: createQuarantinedRecords({ index, producer: producers.lanes, clock }),
    steps: [
      { name: "The consumers of the lanes", run: () => partitionedLanes.startReading() },
      { name: "The retry mechanism", run: () => delayTopics.startReading() },
      { name: "The reader of dead letters", run: () => deadLetters.startReading() },
      { name: "The relay of the spool", run: () => Promise.resolve(relay.start()) },
    ],
    readingHealth: () => partitionedLanes.health() ?? delayTopics.health() ?? deadLetters.health(),
    async [Symbol.asyncDispose]() {
      // Beside each other: what is given back to one store must not wait for another one that hangs.
      const inKafka = new AsyncDisposableStack();
      // After the lanes, which give to it what holds them up.
      inKafka.use(delayTopics);
      inKafka.use(partitionedLanes);
      await Promise.all([inKafka, deadLetters, high, relay].map((part) => part[Symbol.asyncDispose]()));
    },
  };
}

function relayOf(options: DistributedQueuesOptions, onPoison: OnPoison): SpoolRelay {
  const delays = { plan: createDelayPlan(DELAYS_MS), topicOf: retryTopic };
  return createSpoolRelay({
    ...options,
    onPoison,
    spool: options.stores.spool,
    producer: options.producers.spool,
    afterWait: (record, waitedMs) => afterWait(record, waitedMs, delays),
  });
}

/** Throws when the retry queue is full: the lane asks again later, and its head stays blocked until then. */
async function offload(queue: RetryQueue, envelopes: readonly Envelope[], nowMs: number): Promise<void> {
  const plan = { cause: "relieved", endpointId: null, generation: 0, attempt: 1 } as const;
  // Never before its own time: what comes back from there counts as due.
  const copyOf = (envelope: Envelope) => {
    const notBeforeMs = Math.max(nowMs + OFFLOADED_MS[laneOf(envelope)], envelope.deliverAtMs ?? 0);
    return scheduledEvent(envelope, { ...plan, notBeforeMs });
  };
  const { kind } = await queue.schedule(envelopes.map(copyOf));
  if (kind === "full") throw new PosthasteError("overloaded", "The retry queue is full.");
}

function expired(deadLetter: DroppedDeadLetter, reason: string, atMs: number): LedgerEntry {
  const { tenant, eventId, endpointId, generation, eventType, attempts } = deadLetter;
  return {
    kind: "delivery",
    delivery: {
      tenant,
      eventId,
      endpointId,
      generation,
      eventType,
      atMs,
      state: "expired",
      attempt: attempts,
      result: null,
      groupId: null,
      nextAttemptAtMs: null,
      reason,
    },
  };
}
