/** A partition that a reader holds: its handle for the listener, its pause, how far it was read. */
import type { KafkaMessage } from "kafkajs";

import { assert } from "../../lib/assert.ts";
import type { AssignedPartition, TopicPartition, ConsumerRecord } from "../../ports/partition-log.ts";

export interface HeldPartition extends TopicPartition {
  readonly handle: AssignedPartition;
  /** First offset not yet read; null until anything is known. */
  next: number | null;
  /** When it last moved, or could not be expected to; on the monotonic clock. */
  progressAtMs: number;
  isPaused(): boolean;
  /** Whether the listener knows of it. */
  isAnnounced(): boolean;
  announce(from: number): void;
  keepEarly(records: readonly ConsumerRecord[]): void;
  earlyCount(): number;
  takeEarly(): readonly (readonly ConsumerRecord[])[];
}

export interface HeldPartitionActions {
  commit(partition: HeldPartition, next: number): Promise<void>;
  /** Called when the pause changed. */
  pause(partition: HeldPartition): void;
}

export function createHeldPartition(
  { topic, partition }: TopicPartition,
  actions: HeldPartitionActions,
): HeldPartition {
  let isPaused = false;
  let from: number | null = null;
  let early: (readonly ConsumerRecord[])[] = [];

  function setPaused(value: boolean): void {
    if (isPaused === value) return;
    isPaused = value;
    actions.pause(self);
  }

  const self: HeldPartition = {
    topic,
    partition,
    handle: {
      topic,
      partition,
      get from() {
        assert(from !== null, "a partition is announced before it is used");
        return from;
      },
      pause: () => setPaused(true),
      resume: () => setPaused(false),
      commit: (next) => actions.commit(self, next),
    },
    next: null,
    progressAtMs: 0,
    isPaused: () => isPaused,
    isAnnounced: () => from !== null,
    announce(offset) {
      from = offset;
    },
    keepEarly: (records) => void early.push(records),
    earlyCount: () => early.length,
    takeEarly() {
      const taken = early;
      early = [];
      return taken;
    },
  };
  return self;
}

/** Copies the value: kafkajs gives views, and one record kept for long would hold the memory of a whole fetch. */
export function toLogRecord({ topic, partition }: TopicPartition, message: KafkaMessage): ConsumerRecord {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(message.headers ?? {})) {
    const last = Array.isArray(value) ? value.at(-1) : value;
    // Who writes to our topics by other means may write a header without a value.
    if (last != null) headers[name] = last.toString();
  }
  return {
    topic,
    partition,
    offset: Number(message.offset),
    timestampMs: Number(message.timestamp),
    key: message.key === null ? null : message.key.toString(),
    value: message.value === null ? null : new Uint8Array(message.value),
    headers,
  };
}
