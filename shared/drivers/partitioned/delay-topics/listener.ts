/** What the partition log tells the retry queue: partitions that come and go, and what was read of them. */
import type { Clock, Entropy } from "../../../lib/ambient.ts";
import { assert } from "../../../lib/assert.ts";
import type { AssignedPartition, GroupListener, TopicPartition } from "../../../ports/partition-log.ts";
import type { OffsetWindowBounds } from "../window/offset-window.ts";
import type { PartitionEnds } from "../window/partition-ends.ts";
import type { OnPoison } from "../window/quarantine.ts";
import type { DueItems } from "./due.ts";
import type { DelayPartition, SetBack } from "./partition.ts";
import { createDelayPartition } from "./partition.ts";
import type { LogTime } from "./log-time.ts";
import type { DelayPlan } from "./plan.ts";

export interface DelayListenerDeps {
  /** By the log's time of day. */
  readonly clock: Clock;
  readonly logTime: LogTime;
  readonly entropy: Entropy;
  readonly topicOf: (delayMs: number) => string;
  readonly window: OffsetWindowBounds;
  readonly onPoison: OnPoison;
  readonly plan: DelayPlan;
  /** By `placeOf`. */
  readonly partitions: Map<string, DelayPartition>;
  readonly due: DueItems;
  readonly ends: PartitionEnds;
  readonly advance: () => void;
  readonly signal: AbortSignal;
}

export function createDelayListener(deps: DelayListenerDeps): GroupListener {
  const { clock, entropy, plan, partitions, due, ends, advance, signal, onPoison } = deps;
  const delayByTopic = new Map(plan.delaysMs.map((delayMs) => [deps.topicOf(delayMs), delayMs]));
  let sequence = 0;

  function assigned(position: AssignedPartition): void {
    const delayMs = delayByTopic.get(position.topic);
    assert(delayMs !== undefined, "only delay topics are read");
    const partition = createDelayPartition({
      assigned: position,
      delayMs,
      plan,
      bounds: deps.window,
      clock,
      logTime: deps.logTime,
      entropy,
      onPoison,
      signal,
      nextSequence: () => sequence++,
    });
    partitions.set(placeOf(position), partition);
    ends.find(partition);
  }

  return {
    assigned,
    lost(position) {
      const partition = partitions.get(placeOf(position));
      if (partition === undefined) return;
      partitions.delete(placeOf(position));
      partition.lose();
      ends.forget(partition);
      due.dropLost();
    },
    records(position, records) {
      const partition = partitions.get(placeOf(position));
      if (partition === undefined || signal.aborted) return;
      const { last, relayed, setBack } = partition.admit(records);
      if (setBack !== null) keepWaits(partitions.values(), due, setBack);
      for (const entry of last) due.add(entry);
      for (const entry of relayed) due.watch(entry);
      advance();
    },
  };
}

/** The log's clock was set back: what was read before waits as long as it would have. */
function keepWaits(partitions: Iterable<DelayPartition>, due: DueItems, setBack: SetBack): void {
  for (const partition of partitions) partition.setBack(setBack);
  due.reorder();
}

export function placeOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
