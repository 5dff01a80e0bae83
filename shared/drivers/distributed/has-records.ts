/** Whether the partition log shows that a deployment was in use before: each attempt leaves a record, whatever the lane. */
import type { Clock, Entropy } from "../../lib/ambient.ts";
import { retry } from "../../lib/retry.ts";
import type { PartitionLog } from "../../ports/partition-log.ts";
import { DELAYS_MS } from "../partitioned/delay-topics/plan.ts";
import { ATTEMPTS_TOPIC, DEAD_LETTER_TOPIC, LANE_TOPICS, retryTopic } from "./topics.ts";

/** Failed tries, some seconds in all; the error is thrown then. */
const RECORDS_TRIES = 5;
const RECORDS_AGAIN = { firstMs: 250, maxMs: 2000 } as const;

export async function hasRecords(
  partitionLog: Pick<PartitionLog, "depth">,
  { clock, entropy }: { readonly clock: Pick<Clock, "sleep">; readonly entropy: Pick<Entropy, "fraction"> },
): Promise<boolean> {
  const topics = [ATTEMPTS_TOPIC, DEAD_LETTER_TOPIC, ...Object.values(LANE_TOPICS), ...DELAYS_MS.map(retryTopic)];
  const read = () => Promise.all(topics.map((topic) => partitionLog.depth("lanes", topic)));
  // Topics that were made a moment ago are not known to every broker.
  const { signal } = new AbortController();
  const isRetriable = (_: unknown, attemptIndex: number): boolean => attemptIndex < RECORDS_TRIES;
  const found = await retry(read, {
    clock,
    entropy,
    signal,
    isRetriable,
    ...RECORDS_AGAIN,
    onFailure: () => undefined,
  });
  return found.kind === "done" && found.value.flat().some(({ end }) => end > 0);
}
