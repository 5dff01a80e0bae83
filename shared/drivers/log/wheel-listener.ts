/** What the log tells the wheel: partitions that come and go, and what was read of them. */
import type { Clock } from "../../lib/ambient.ts";
import { assert } from "../../lib/assert.ts";
import type { AssignedPartition, LogListener, LogPosition, PartitionLog } from "../../ports/partition-log.ts";
import type { OffsetWindowBounds } from "./offset-window.ts";
import type { OnPoison } from "./poison.ts";
import { createPoisonDesk } from "./poison.ts";
import type { WheelDue } from "./wheel-due.ts";
import type { WheelPartition } from "./wheel-partition.ts";
import { createWheelPartition } from "./wheel-partition.ts";
import type { WheelPlan } from "./wheel-plan.ts";

/** After an end of a partition that could not be asked for. */
const ASK_AGAIN_MS = 1000;

export interface WheelListenerDeps {
  readonly log: PartitionLog;
  readonly clock: Clock;
  readonly group: string;
  readonly topicOf: (delayMs: number) => string;
  readonly window: OffsetWindowBounds;
  readonly onPoison: OnPoison;
  readonly onFault: (what: string, error: unknown) => void;
  readonly plan: WheelPlan;
  /** By `placeOf`. */
  readonly partitions: Map<string, WheelPartition>;
  readonly due: WheelDue;
  readonly turn: () => void;
  readonly signal: AbortSignal;
}

export function createWheelListener(deps: WheelListenerDeps): LogListener {
  const { clock, plan, partitions, due, turn, signal, onPoison } = deps;
  const poison = createPoisonDesk({ clock, onPoison, signal });
  const delayByTopic = new Map(plan.delaysMs.map((delayMs) => [deps.topicOf(delayMs), delayMs]));
  let sequence = 0;

  function assigned(position: AssignedPartition): WheelPartition {
    const delayMs = delayByTopic.get(position.topic);
    assert(delayMs !== undefined, "only topics of the wheel are read");
    const partition = createWheelPartition({
      assigned: position,
      delayMs,
      plan,
      bounds: deps.window,
      clock,
      nextSequence: () => sequence++,
    });
    partitions.set(placeOf(position), partition);
    void learnEnd(deps, partition);
    return partition;
  }

  return {
    assigned: (position) => void assigned(position),
    lost(position) {
      const partition = partitions.get(placeOf(position));
      if (partition === undefined) return;
      partitions.delete(placeOf(position));
      partition.lose();
      due.dropLost();
    },
    records(position, records) {
      const partition = partitions.get(placeOf(position));
      if (partition === undefined || signal.aborted) return;
      const last = partition.admit(records, (record, reason) => {
        poison.give(record, reason, () => {
          partition.settle(record.offset);
          partition.commits.request();
        });
      });
      for (const entry of last) due.add(entry);
      turn();
    },
  };
}

/** Where the partition ended when it became ours: others may have worked on what lies below. */
async function learnEnd(
  { log, clock, group, onFault, signal }: WheelListenerDeps,
  partition: WheelPartition,
): Promise<void> {
  const { topic, partition: number } = partition.assigned;
  while (!partition.isLost && !signal.aborted) {
    try {
      const depths = await log.depth(group, topic);
      const own = depths.find((depth) => depth.partition === number);
      assert(own !== undefined, "a partition that is read has an end");
      partition.repeatBelow = own.end;
      return;
    } catch (error) {
      onFault("ask for the end of a partition", error);
      await clock.sleep(ASK_AGAIN_MS, signal).catch(() => undefined);
    }
  }
}

export function placeOf({ topic, partition }: LogPosition): string {
  return `${topic}/${partition}`;
}
