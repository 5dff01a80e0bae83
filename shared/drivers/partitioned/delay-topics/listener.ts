/** What the log tells the wheel: partitions that come and go, and what was read of them. */
import type { Clock } from "../../../lib/ambient.ts";
import { assert } from "../../../lib/assert.ts";
import type { AssignedPartition, LogListener, LogPosition } from "../../../ports/partition-log.ts";
import type { OffsetWindowBounds } from "../window/offset-window.ts";
import type { PartitionEnds } from "../window/partition-ends.ts";
import type { OnPoison } from "../window/quarantine.ts";
import type { WheelDue } from "./due.ts";
import type { WheelPartition } from "./partition.ts";
import { createWheelPartition } from "./partition.ts";
import type { WheelPlan } from "./plan.ts";

export interface WheelListenerDeps {
  readonly clock: Clock;
  readonly topicOf: (delayMs: number) => string;
  readonly window: OffsetWindowBounds;
  readonly onPoison: OnPoison;
  readonly plan: WheelPlan;
  /** By `placeOf`. */
  readonly partitions: Map<string, WheelPartition>;
  readonly due: WheelDue;
  readonly ends: PartitionEnds;
  readonly turn: () => void;
  readonly signal: AbortSignal;
}

export function createWheelListener(deps: WheelListenerDeps): LogListener {
  const { clock, plan, partitions, due, ends, turn, signal, onPoison } = deps;
  const delayByTopic = new Map(plan.delaysMs.map((delayMs) => [deps.topicOf(delayMs), delayMs]));
  let sequence = 0;

  function assigned(position: AssignedPartition): void {
    const delayMs = delayByTopic.get(position.topic);
    assert(delayMs !== undefined, "only topics of the wheel are read");
    const partition = createWheelPartition({
      assigned: position,
      delayMs,
      plan,
      bounds: deps.window,
      clock,
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
      for (const entry of partition.admit(records)) due.add(entry);
      turn();
    },
  };
}

export function placeOf({ topic, partition }: LogPosition): string {
  return `${topic}/${partition}`;
}
