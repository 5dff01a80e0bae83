/**
 * Items go from topic to topic: appended to the next one first, then acked where they were. One batch of a partition
 * is under way at a time; a batch that failed is repeated after a while, and its items with it.
 */
import type { Clock } from "../../../lib/ambient.ts";
import type { RecordProducer, NewRecord } from "../../../ports/partition-log.ts";
import { retryRecord } from "./retry-record.ts";
import type { DueItems } from "./due.ts";
import type { DelayedEntry, DelayPartition } from "./partition.ts";
import type { DelayPlan } from "./plan.ts";

/** Items of one batch. */
const RELAY_ITEMS_MAX = 500;
/** After a batch that failed. */
const RELAY_AGAIN_MS = 1000;
/**
 * After a batch that was not full. Of a process whose clock is ahead of the log's every record is due as soon as it is read
 * back: without a pause it would write the same items again and again as fast as the log takes them.
 */
const RELAY_PAUSE_MS = 200;

export interface RelayDeps {
  readonly plan: DelayPlan;
  readonly clock: Pick<Clock, "now">;
  readonly topicOf: (delayMs: number) => string;
  readonly producer: Pick<RecordProducer, "append">;
  readonly due: Pick<DueItems, "add" | "watch" | "unwatch" | "isMissed">;
  readonly onFault: (what: string, error: unknown) => void;
  /** Called when a batch has ended, either way. */
  readonly advance: () => void;
}

const relaying = new WeakSet<DelayPartition>();

/** Starts a batch when one is due and none is under way; never rejects and never waits. */
export function relayDue(deps: RelayDeps, partition: DelayPartition): void {
  if (relaying.has(partition)) return;
  const entries = partition.takeDueRelays(deps.clock.now(), RELAY_ITEMS_MAX);
  if (entries.length === 0) return;
  relaying.add(partition);
  void relay(deps, partition, entries).finally(() => {
    relaying.delete(partition);
    deps.advance();
  });
}

async function relay(deps: RelayDeps, partition: DelayPartition, entries: readonly DelayedEntry[]): Promise<void> {
  const nowMs = deps.clock.now();
  const going: DelayedEntry[] = [];
  for (const entry of entries) {
    deps.due.unwatch(entry);
    // Read late (after a stop of all processes), it may have less than a relay left. Or its endpoint asked for it meanwhile.
    if (deps.plan.isLast(nowMs, entry.notBeforeMs, true) || deps.due.isMissed(entry)) {
      entry.isLast = true;
      deps.due.add(entry);
    } else going.push(entry);
  }
  try {
    const records = going.flatMap((entry) => nextRecord(deps, entry, nowMs));
    if (records.length > 0) await deps.producer.append(records);
  } catch (error) {
    deps.onFault("relay", error);
    if (partition.isLost) return;
    partition.putRelaysBack(going, RELAY_AGAIN_MS);
    for (const entry of going) deps.due.watch(entry);
    return;
  }
  if (partition.isLost) return;
  for (const { offset } of going) partition.ack(offset);
  if (going.length < RELAY_ITEMS_MAX) partition.putRelaysBack([], RELAY_PAUSE_MS);
  partition.commits.request();
}

function nextRecord({ plan, topicOf }: RelayDeps, entry: DelayedEntry, nowMs: number): readonly NewRecord[] {
  if (entry.item === null) return [];
  const topic = topicOf(plan.delayFor(entry.notBeforeMs - nowMs));
  const item = { ...entry.item, notBeforeMs: entry.notBeforeMs };
  return [retryRecord({ item, relays: entry.relays + 1, topic, nowMs, time: "log" })];
}
