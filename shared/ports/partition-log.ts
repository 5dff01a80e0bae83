/**
 * A durable log of partitioned topics that groups of readers share: Kafka, or the in-memory model of the simulation.
 * At least once. What is promised and what is not follows the weaker of the two: positions may be read again after a
 * rebalance or a crash, and a group's partitions may move at any time without warning.
 */

export interface NewRecord {
  readonly topic: string;
  /** Null: spread by the log, records of one `key` in one partition. */
  readonly partition: number | null;
  readonly key: string | null;
  readonly value: Uint8Array | null;
  /** Text values; names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Epoch ms. The log may keep its own time instead (`timestampMs` of what is read). */
  readonly timestampMs: number;
}

export interface ConsumerRecord {
  readonly topic: string;
  readonly partition: number;
  /** Whole, rising within a partition, with gaps. */
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: string | null;
  readonly value: Uint8Array | null;
  readonly headers: Readonly<Record<string, string>>;
}

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

export interface TopicPosition extends TopicPartition {
  readonly offset: number;
}

/** By so much, or by this part of its age, a record may have been written before the time that `writtenAt` gives. */
export const WRITTEN_AT_SLACK_MS = 1000;
export const WRITTEN_AT_SLACK = 0.05;

export interface RecordProducer extends AsyncDisposable {
  /**
   * Resolves when every record is acknowledged by all in-sync replicas; exactly one send is in flight per producer, and
   * what arrives meanwhile shares the next. Rejects with `store-unavailable` when that takes too long, with `overloaded`
   * when too much waits; a rejected record may have been written all the same. What is withdrawn before its send begins is
   * rejected and not written.
   */
  append(records: readonly NewRecord[], isWithdrawn?: () => boolean): Promise<void>;
}

/** A partition that is ours, from `assigned` until `lost`. */
export interface AssignedPartition extends TopicPartition {
  /** Where reading begins: the group's committed offset, or the start of the log. */
  readonly from: number;
  /** Keeps further records from being read; those on their way still come. */
  pause(): void;
  resume(): void;
  /** `next` is the first offset not yet done. Does nothing once the partition was lost; rejects when it failed. */
  commit(next: number): Promise<void>;
}

/** Called one at a time; must not throw and must not wait. */
export interface GroupListener {
  assigned(partition: AssignedPartition): void;
  /** Not ours any more: another reader may have it already, and its committed offset is not ours to move. */
  lost(position: TopicPartition): void;
  /** In order of offsets; offsets that were given before may come again and are to be skipped. */
  records(partition: AssignedPartition, records: readonly ConsumerRecord[]): void;
}

export interface GroupReader extends AsyncDisposable {
  /** Null while it reads; else one sentence on what is wrong, for /readyz. */
  health(): string | null;
}

export interface TopicSpec {
  readonly topic: string;
  readonly partitions: number;
  readonly replication: number;
  readonly minInSync: number;
  /** -1: for ever. No byte limit is ever set. */
  readonly retentionMs: number;
  /** Of each key the log need only keep the newest record, and nothing once that has no value; then for ever. */
  readonly isCompacted?: boolean;
  /** Whose time records carry: the broker's at append, or the writer's own (tests on a virtual clock). */
  readonly timestamps: "log" | "writer";
}

/**
 * `at-once`, the usual: a record is given as soon as it is there. `in-bulk`: many are asked for together, and one alone is given up to
 * a quarter of a second late. Each answer of a log costs something, whatever is in it.
 */
export type ReaderPace = "at-once" | "in-bulk";

export interface PartitionDepth extends TopicPartition {
  /** First offset kept, first offset not yet done by the group, first offset not yet written. */
  readonly start: number;
  readonly committed: number;
  readonly end: number;
}

export interface PartitionLog extends AsyncDisposable {
  /**
   * Creates what is missing and checks what is there; throws a plain Error that names the setting to mend. What somebody deletes
   * later is made again within seconds, empty.
   * Resolves with what else an operator should know, a sentence or two each.
   */
  ensureTopics(specs: readonly TopicSpec[]): Promise<readonly string[]>;
  /** Separate producers do not wait for each other. */
  openProducer(name: string): RecordProducer;
  /** Joins `group` and reads `topics` in it; resolves when the group was joined. */
  openReader(
    group: string,
    topics: readonly string[],
    listener: GroupListener,
    pace?: ReaderPace,
  ): Promise<GroupReader>;
  depth(group: string, topic: string): Promise<readonly PartitionDepth[]>;
  /**
   * When the record of each position was written, or the next one after it, by the log's time (`timestampMs`), in epoch ms. May be
   * later than that by `WRITTEN_AT_SLACK_MS` or `WRITTEN_AT_SLACK` of the age; about now where nothing was written yet.
   */
  writtenAt(positions: readonly TopicPosition[]): Promise<readonly number[]>;
  health(): Promise<string | null>;
}
