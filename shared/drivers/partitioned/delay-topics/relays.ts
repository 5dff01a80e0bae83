/**
 * Items go from topic to topic: appended to the next one first, then settled where they were. One batch of a partition
 * is under way at a time; a batch that failed is repeated after a while, and its items with it.
 */
import type { Clock } from "../../../lib/ambient.ts";
import type { LogProducer, NewRecord } from "../../../ports/partition-log.ts";
import { retryRecord } from "./retry-record.ts";
import type { WheelDue } from "./due.ts";
import type { WheelEntry, WheelPartition } from "./partition.ts";
import type { WheelPlan } from "./plan.ts";

/** Items of one batch. */
const HOP_ITEMS_MAX = 500;
/** After a batch that failed. */
const HOP_AGAIN_MS = 1000;

export interface HopDeps {
  readonly plan: WheelPlan;
  readonly clock: Pick<Clock, "now">;
  readonly topicOf: (delayMs: number) => string;
  readonly producer: Pick<LogProducer, "append">;
  readonly due: Pick<WheelDue, "add">;
  readonly onFault: (what: string, error: unknown) => void;
  /** Called when a batch has ended, either way. */
  readonly turn: () => void;
}

const hopping = new WeakSet<WheelPartition>();

/** Starts a batch when one is due and none is under way; never rejects and never waits. */
export function hopAll(deps: HopDeps, partition: WheelPartition): void {
  if (hopping.has(partition)) return;
  const entries = partition.takeHops(deps.clock.now(), HOP_ITEMS_MAX);
  if (entries.length === 0) return;
  hopping.add(partition);
  void hop(deps, partition, entries).finally(() => {
    hopping.delete(partition);
    deps.turn();
  });
}

async function hop(deps: HopDeps, partition: WheelPartition, entries: readonly WheelEntry[]): Promise<void> {
  const nowMs = deps.clock.now();
  const going: WheelEntry[] = [];
  for (const entry of entries) {
    // Read late (after a stop of all processes), it may have less than a hop left.
    if (deps.plan.isLast(nowMs, entry.notBeforeMs, true)) deps.due.add(entry);
    else going.push(entry);
  }
  try {
    const records = going.flatMap((entry) => nextRecord(deps, entry, nowMs));
    if (records.length > 0) await deps.producer.append(records);
  } catch (error) {
    deps.onFault("hop", error);
    if (!partition.isLost) partition.putHopsBack(going, deps.clock.now() + HOP_AGAIN_MS);
    return;
  }
  if (partition.isLost) return;
  for (const { offset } of going) partition.settle(offset);
  partition.commits.request();
}

function nextRecord({ plan, topicOf }: HopDeps, entry: WheelEntry, nowMs: number): readonly NewRecord[] {
  if (entry.item === null) return [];
  const topic = topicOf(plan.delayFor(entry.notBeforeMs - nowMs));
  return [retryRecord({ item: entry.item, hops: entry.hops + 1, topic, nowMs })];
}
