/** How far each group of readers is behind, by partition: for metrics, from any process, whoever has the partitions. */
import type { Clock } from "../../lib/ambient.ts";
import { LANES } from "../../domain/event.ts";
import { inTime } from "../../lib/in-time.ts";
import type { PartitionLog } from "../../ports/partition-log.ts";
import type { ConsumerLag } from "../../ports/store-gauges.ts";
import { DELAYS_MS } from "../partitioned/delay-topics/plan.ts";
import { DEAD_LETTER_TOPIC, GROUPS, LANE_TOPICS, LEDGER_TOPIC, retryTopic } from "./topics.ts";

const READ: readonly { readonly group: string; readonly topic: string }[] = [
  ...LANES.map((lane) => ({ group: `${GROUPS.lanes}.${lane}`, topic: LANE_TOPICS[lane] })),
  ...DELAYS_MS.map((delayMs) => ({ group: GROUPS.retries, topic: retryTopic(delayMs) })),
  { group: GROUPS.deadLetters, topic: DEAD_LETTER_TOPIC },
  { group: GROUPS.ledger, topic: LEDGER_TOPIC },
];

/** A topic whose offsets were not told by then is left out. */
const ANSWER_MS = 2000;

/** A topic that cannot be asked for is left out; never rejects. */
export async function readConsumerLag(
  partitionLog: Pick<PartitionLog, "depth" | "writtenAt">,
  clock: Pick<Clock, "now" | "timer">,
): Promise<readonly ConsumerLag[]> {
  const asked = READ.map((read) => inTime(clock, ANSWER_MS, lagOf(partitionLog, clock, read)));
  const answers = await Promise.allSettled(asked);
  return answers.flatMap((answer) =>
    answer.status === "fulfilled" && answer.value.kind === "done" ? answer.value.value : [],
  );
}

async function lagOf(
  partitionLog: Pick<PartitionLog, "depth" | "writtenAt">,
  clock: Pick<Clock, "now">,
  { group, topic }: { readonly group: string; readonly topic: string },
): Promise<readonly ConsumerLag[]> {
  const rows = (await partitionLog.depth(group, topic)).map(({ partition, start, committed, end }) => {
    const offset = Math.max(start, committed);
    return { topic, partition, offset, records: Math.max(0, end - offset) };
  });
  const behind = rows.filter(({ records }) => records > 0);
  const times = behind.length === 0 ? [] : await partitionLog.writtenAt(behind);
  const ageOf = new Map(behind.map(({ partition }, index) => [partition, clock.now() - (times[index] ?? clock.now())]));
  return rows.map(({ partition, records }) => {
    const ageMs = ageOf.get(partition);
    return { group, topic, partition, records, ageMs: ageMs === undefined ? null : Math.max(0, ageMs) };
  });
}
