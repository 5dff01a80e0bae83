/**
 * The port `partition-log` in memory, for the simulation: a broker that outlives the processes that use it. Everything
 * happens by the given clock, in an order that depends on nothing else. It takes Kafka's liberties on purpose: a
 * rebalance moves partitions without asking, members hear of it one after another, retained partitions are read again
 * from the committed offset, a resume takes effect late, and a crashed reader keeps its partitions for its session time.
 */
import { PosthasteError } from "../../domain/errors.ts";
import type { Clock } from "../../lib/ambient.ts";
import { createBatcher } from "../../lib/batcher.ts";
import type {
  RecordProducer,
  GroupReader,
  NewRecord,
  PartitionLog,
  TopicPosition,
  TopicSpec,
} from "../../ports/partition-log.ts";
import type { MemoryGroup } from "./partition-log-group.ts";
import { createMemoryGroup } from "./partition-log-group.ts";
import type { MemoryPartition } from "./partition-log-partition.ts";
import { createMemoryPartition, hashOf } from "./partition-log-partition.ts";

const SEND_RECORDS_MAX = 500;
const SEND_BYTES_MAX = 900 * 1024;
/** Records that wait for their send; more is refused as `overloaded`. */
export const WAITING_RECORDS_MAX = 20_000;
/** How long an append waits for a broker that does not answer. */
const APPEND_MS = 10_000;
const TOPICS_MAX = 1000;
const GROUPS_MAX = 1000;

export interface MemoryLogOptions {
  readonly clock: Clock;
  /** Instead of what the topics' specs ask for: a small number makes simulations quick. */
  readonly partitions?: number;
}

/** The log as one process sees it. */
export interface MemoryLog extends PartitionLog {
  openReader(...args: Parameters<PartitionLog["openReader"]>): Promise<MemoryReader>;
  /** The same broker for another process, which can crash by itself; `clock` is that process's own. */
  forProcess(clock: Clock): MemoryLog;
  /** All readers and producers of this process die without a word. */
  crash(): void;
  /** While false the broker answers nobody: appends and commits fail, readers read nothing and keep their membership. */
  setReachable(isReachable: boolean): void;
}

export interface MemoryReader extends GroupReader {
  /** Dies without a word: its listener hears nothing more, its session ends after 6 s. */
  crash(): void;
}

interface Broker {
  readonly clock: Clock;
  readonly topics: Map<string, MemoryPartition[]>;
  readonly groups: Map<string, MemoryGroup>;
  readonly partitions: number | null;
  isReachable: boolean;
}

export function openMemoryLog({ clock, partitions }: MemoryLogOptions): MemoryLog {
  const broker: Broker = {
    clock,
    topics: new Map(),
    groups: new Map(),
    partitions: partitions ?? null,
    isReachable: true,
  };
  return openProcess(broker, clock);
}

function openProcess(broker: Broker, clock: Clock): MemoryLog {
  const readers = new Set<MemoryReader>();
  const producers = new Set<RecordProducer>();
  let isOpen = true;

  return {
    // eslint-disable-next-line typescript/require-await -- a refusal is a rejection
    async ensureTopics(specs) {
      for (const spec of specs) ensureTopic(broker, spec);
      return [];
    },
    openProducer(name) {
      const producer = openMemoryProducer(broker, clock, name, () => isOpen);
      producers.add(producer);
      return producer;
    },
    async openReader(name, topics, listener) {
      assertOpen(isOpen);
      for (const topic of topics) topicOf(broker, topic);
      const member = groupOf(broker, name).join(topics, listener);
      const reader: MemoryReader = {
        health: () => (broker.isReachable ? member.health() : "the partition log is not reachable"),
        crash() {
          readers.delete(reader);
          member.crash();
        },
        async [Symbol.asyncDispose]() {
          readers.delete(reader);
          await member.leave();
        },
      };
      readers.add(reader);
      await member.joined;
      return reader;
    },
    // eslint-disable-next-line typescript/require-await -- a refusal is a rejection
    async depth(group, topic) {
      assertReachable(broker);
      const committed = groupOf(broker, group).committed;
      return topicOf(broker, topic).map((log) => ({
        topic,
        partition: log.partition,
        start: log.start(),
        committed: committed.get(log) ?? log.start(),
        end: log.end(),
      }));
    },
    writtenAt: (positions) => Promise.resolve(positions.map((position) => timeAt(broker, position) ?? clock.now())),
    health: () => Promise.resolve(broker.isReachable ? null : "the partition log is not reachable"),
    forProcess: (processClock) => openProcess(broker, processClock),
    crash() {
      isOpen = false;
      for (const reader of Array.from(readers)) reader.crash();
    },
    setReachable(isReachable) {
      broker.isReachable = isReachable;
      if (isReachable) for (const group of broker.groups.values()) group.wake();
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(Array.from(producers, (producer) => producer[Symbol.asyncDispose]()));
      await Promise.all(Array.from(readers, (reader) => reader[Symbol.asyncDispose]()));
      isOpen = false;
    },
  };
}

interface Pending {
  readonly record: NewRecord;
  readonly isWithdrawn: () => boolean;
}

const never = (): boolean => false;

function openMemoryProducer(broker: Broker, clock: Clock, name: string, isAlive: () => boolean): RecordProducer {
  let isClosed = false;
  let turn = 0;
  const batcher = createBatcher<Pending, void>({
    clock,
    flush,
    itemsMax: SEND_RECORDS_MAX,
    bytesMax: SEND_BYTES_MAX,
    waitingMax: WAITING_RECORDS_MAX,
    overflow: overloaded,
  });

  async function flush(items: readonly Pending[]) {
    if (!broker.isReachable) {
      await new Promise<void>((resolve) => void clock.timer(APPEND_MS, resolve));
      assertReachable(broker);
    }
    return items.map(({ record, isWithdrawn }) => {
      try {
        if (isWithdrawn()) throw new PosthasteError("store-unavailable", "The record was withdrawn.");
        write(broker, record, turn++);
        return { kind: "done", value: undefined } as const;
      } catch (error) {
        return { kind: "failed", error } as const;
      }
    });
  }

  function overloaded(): PosthasteError {
    return new PosthasteError("overloaded", `${WAITING_RECORDS_MAX} records wait in producer ${name} already.`);
  }

  return {
    async append(records, isWithdrawn = never) {
      if (isClosed || !isAlive()) throw new PosthasteError("store-unavailable", `Producer ${name} was closed.`);
      if (batcher.waitingCount() + records.length > WAITING_RECORDS_MAX) throw overloaded();
      await Promise.all(records.map((record) => batcher.add({ record, isWithdrawn }, record.value?.byteLength ?? 0)));
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      if (isAlive()) await batcher.idle();
    },
  };
}

/** Records with a key keep to one partition, those without take turns. */
function write(broker: Broker, record: NewRecord, turn: number): void {
  const logs = topicOf(broker, record.topic);
  const index = record.partition ?? (record.key === null ? turn : hashOf(record.key)) % logs.length;
  const log = logs[index];
  if (log === undefined) {
    throw new PosthasteError("store-unavailable", `Topic ${record.topic} has no partition ${index}.`);
  }
  log.append(record);
  for (const group of broker.groups.values()) group.wake();
}

function ensureTopic(broker: Broker, spec: TopicSpec): void {
  const wanted = broker.partitions ?? spec.partitions;
  const found = broker.topics.get(spec.topic);
  if (found === undefined) {
    if (broker.topics.size === TOPICS_MAX) throw new Error(`no more than ${TOPICS_MAX} topics`);
    const logs = Array.from({ length: wanted }, (_, index) => createMemoryPartition(broker.clock, spec, index));
    broker.topics.set(spec.topic, logs);
  } else if (found.length < wanted) {
    throw new Error(
      `topic ${spec.topic} has ${found.length} partitions, ${wanted} are wanted: configure ${found.length}`,
    );
  }
}

function topicOf(broker: Broker, topic: string): readonly MemoryPartition[] {
  const logs = broker.topics.get(topic);
  if (logs === undefined) throw new PosthasteError("store-unavailable", `There is no topic ${topic}.`);
  return logs;
}

function timeAt(broker: Broker, { topic, partition, offset }: TopicPosition): number | undefined {
  assertReachable(broker);
  return topicOf(broker, topic)[partition]?.read(offset, 1, Infinity)[0]?.timestampMs;
}

function groupOf(broker: Broker, name: string): MemoryGroup {
  const found = broker.groups.get(name);
  if (found !== undefined) return found;
  if (broker.groups.size === GROUPS_MAX)
    throw new PosthasteError("limit-reached", `No more than ${GROUPS_MAX} groups.`);
  const group = createMemoryGroup({
    clock: broker.clock,
    logsOf: (topic) => topicOf(broker, topic),
    isReachable: () => broker.isReachable,
  });
  broker.groups.set(name, group);
  return group;
}

function assertOpen(isOpen: boolean): void {
  if (!isOpen) throw new PosthasteError("store-unavailable", "The partition log is closed.");
}

function assertReachable({ isReachable }: Broker): void {
  if (!isReachable) throw new PosthasteError("store-unavailable", "The partition log is not reachable.");
}
