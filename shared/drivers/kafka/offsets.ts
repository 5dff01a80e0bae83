/** Where the partitions of a topic begin and end, and how far a group has come. */
import type { Clock } from "../../lib/ambient.ts";
import type { TopicPartition } from "../../ports/partition-log.ts";
import type { KafkaAdmin } from "./admin.ts";
import { isStillStarting, isUnknownTopic, storeUnavailable } from "./client.ts";

const OFFSETS_MS = 10_000;
/** A topic that was just made has no leader for a moment, and not every broker knows it; a group may have no coordinator yet. */
const ASK_AGAIN_MS = 200;
/** One that is unknown for longer was deleted. */
const UNKNOWN_MS_MAX = 2000;

export interface PartitionOffsets extends TopicPartition {
  readonly start: number;
  /** Null: the group has committed nothing yet, or what it committed lies in a log of this name that was deleted. */
  readonly committed: number | null;
  readonly end: number;
}

/** In the order of partitions; names as callers know them. Rejects with `store-unavailable` after `OFFSETS_MS` at the latest. */
export async function fetchPartitionOffsets(
  { admin, clock, prefix }: { readonly admin: KafkaAdmin; readonly clock: Clock; readonly prefix: string },
  group: string,
  topic: string,
): Promise<readonly PartitionOffsets[]> {
  const name = prefix + topic;
  const startedAtMs = clock.monotonic();
  for (;;) {
    const passedMs = clock.monotonic() - startedAtMs;
    try {
      return await askOnce(admin, OFFSETS_MS - passedMs, prefix + group, { topic, name });
    } catch (error) {
      const leftMs = (isUnknownTopic(error) ? UNKNOWN_MS_MAX : OFFSETS_MS) - (clock.monotonic() - startedAtMs);
      const mayPass = isUnknownTopic(error) || isStillStarting(error);
      if (!mayPass || leftMs <= ASK_AGAIN_MS)
        throw storeUnavailable(`offsets of topic ${topic} could not be read`, error);
    }
    await new Promise<void>((resolve) => void clock.timer(ASK_AGAIN_MS, resolve));
  }
}

async function askOnce(
  admin: KafkaAdmin,
  ms: number,
  groupId: string,
  { topic, name }: { readonly topic: string; readonly name: string },
): Promise<readonly PartitionOffsets[]> {
  const [groupTopics, ends] = await admin.use(ms, (client) =>
    Promise.all([client.fetchOffsets({ groupId, topics: [name] }), client.fetchTopicOffsets(name)]),
  );
  const committedOf = new Map(
    groupTopics
      .filter((found) => found.topic === name)
      .flatMap(({ partitions }) => partitions)
      .map(({ partition, offset }) => [partition, Number(offset)]),
  );
  return ends
    .map(({ partition, low, high }) => {
      const [start, end] = [Number(low), Number(high)];
      // Negative: nothing committed (-1), or reset to the start by kafkajs after the log was cut (-2).
      const committed = committedOf.get(partition) ?? -1;
      return { topic, partition, start, committed: committed < 0 || committed > end ? null : committed, end };
    })
    .toSorted((left, right) => left.partition - right.partition);
}
