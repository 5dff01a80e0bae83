/**
 * How far logs had come when they were last read or looked at. One that ends before that was deleted, and somebody else made it
 * again: what lay in it is gone, though no look at the list of topics ever missed it.
 */
import type { TopicPartition } from "../../ports/partition-log.ts";

export interface LogEnd extends TopicPartition {
  /** Behind the last record that is known. */
  readonly end: number;
}

/** Ends by partition, as they are known at one moment. */
export type KnownEnds = ReadonlyMap<number, number>;

export interface LogEnds {
  /** To be taken before the log is asked: it goes on while the answer is on its way, and what is read meanwhile proves nothing. */
  known(topic: string): KnownEnds;
  /** Remembers how far each has come. */
  saw(rows: readonly LogEnd[]): void;
  /** Looks at the topic for the first time again. */
  forget(topic: string): void;
}

/** True: a partition ends before where it was known to before the question. */
export function isCut(rows: readonly LogEnd[], known: KnownEnds): boolean {
  return rows.some(({ partition, end }) => end < (known.get(partition) ?? 0));
}

/** Bounded by the partitions of the topics that it is asked about, which are ours. */
export function createLogEnds(): LogEnds {
  const byTopic = new Map<string, Map<number, number>>();
  return {
    known: (topic) => new Map(byTopic.get(topic)),
    saw(rows) {
      for (const { topic, partition, end } of rows) {
        const ends = byTopic.get(topic) ?? new Map<number, number>();
        byTopic.set(topic, ends.set(partition, Math.max(end, ends.get(partition) ?? 0)));
      }
    },
    forget: (topic) => void byTopic.delete(topic),
  };
}
