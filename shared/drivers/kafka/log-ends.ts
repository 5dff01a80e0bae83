/**
 * How far logs had come when they were last read or looked at. One that ends before that was deleted, and somebody else made it
 * again: what lay in it is gone, though no look at the list of topics ever missed it.
 */
import type { TopicPartition } from "../../ports/partition-log.ts";

export interface LogEnd extends TopicPartition {
  /** Behind the last record that is known. */
  readonly end: number;
}

export interface LogEnds {
  /** True: a partition of the topic ends before where it was seen to. What is remembered stays. */
  isCut(rows: readonly LogEnd[]): boolean;
  /** Remembers how far each has come. */
  saw(rows: readonly LogEnd[]): void;
  /** Looks at the topic for the first time again. */
  forget(topic: string): void;
}

/** Bounded by the partitions of the topics that it is asked about, which are ours. */
export function createLogEnds(): LogEnds {
  const byTopic = new Map<string, Map<number, number>>();
  return {
    isCut: (rows) => rows.some(({ topic, partition, end }) => end < (byTopic.get(topic)?.get(partition) ?? 0)),
    saw(rows) {
      for (const { topic, partition, end } of rows) {
        const ends = byTopic.get(topic) ?? new Map<number, number>();
        byTopic.set(topic, ends.set(partition, Math.max(end, ends.get(partition) ?? 0)));
      }
    },
    forget: (topic) => void byTopic.delete(topic),
  };
}
