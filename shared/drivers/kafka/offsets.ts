/** Where the partitions of a topic begin and end, and how far a group has come. */
import type { TopicPartition } from "../../ports/partition-log.ts";
import type { KafkaAdmin } from "./admin.ts";
import { storeUnavailable } from "./client.ts";

const OFFSETS_MS = 10_000;

export interface PartitionOffsets extends TopicPartition {
  readonly start: number;
  /** Null: the group has committed nothing yet. */
  readonly committed: number | null;
  readonly end: number;
}

/** In the order of partitions; names as callers know them. Rejects with `store-unavailable`. */
export async function fetchPartitionOffsets(
  admin: KafkaAdmin,
  prefix: string,
  group: string,
  topic: string,
): Promise<readonly PartitionOffsets[]> {
  const name = prefix + topic;
  try {
    const [groupTopics, ends] = await admin.use(OFFSETS_MS, (client) =>
      Promise.all([client.fetchOffsets({ groupId: prefix + group, topics: [name] }), client.fetchTopicOffsets(name)]),
    );
    const committedOf = new Map(
      groupTopics
        .filter((found) => found.topic === name)
        .flatMap(({ partitions }) => partitions)
        .map(({ partition, offset }) => [partition, Number(offset)]),
    );
    return ends
      .map(({ partition, low, high }) => {
        // Negative: nothing committed (-1), or reset to the start by kafkajs after the log was cut (-2).
        const committed = committedOf.get(partition) ?? -1;
        return { topic, partition, start: Number(low), committed: committed < 0 ? null : committed, end: Number(high) };
      })
      .toSorted((left, right) => left.partition - right.partition);
  } catch (error) {
    throw storeUnavailable(`offsets of topic ${topic} could not be read`, error);
  }
}
