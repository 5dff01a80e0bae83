/**
 * One lane on one topic, as a member of a group of readers: its partitions come and go, and items are taken from those
 * that are ours in turn, so that a partition with much to do does not hold up the others.
 */
import type { Lane } from "../../../domain/event.ts";
import type { Clock, Entropy } from "../../../lib/ambient.ts";
import type { Admits } from "../../../lib/flow-rows.ts";
import { createOutflow } from "../../../lib/outflow.ts";
import { PullWaiters } from "../../../lib/waiters.ts";
import type { Depth, LaneItem } from "../../../ports/lanes.ts";
import type {
  AssignedPartition,
  GroupReader,
  ConsumerRecord,
  PartitionDepth,
  PartitionLog,
  TopicPosition,
} from "../../../ports/partition-log.ts";
import { createRecentEvents } from "./recent-events.ts";
import type { LanePartition, LanePartitionState } from "./partition.ts";
import { createLanePartition } from "./partition.ts";
import type { Offload } from "./head-of-line-offload.ts";
import type { OffsetWindowBounds } from "../window/offset-window.ts";
import { createPartitionEnds } from "../window/partition-ends.ts";
import type { OnPoison } from "../window/quarantine.ts";

export interface PartitionedLaneOptions {
  readonly lane: Lane;
  readonly topic: string;
  readonly group: string;
  readonly partitionLog: Pick<PartitionLog, "openReader" | "depth" | "writtenAt">;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly windowBounds: OffsetWindowBounds;
  readonly onPoison: OnPoison;
  readonly offload: Offload;
}

export interface PartitionedLane {
  /** Joins the group; calls at the same time share one attempt, and after one that failed the next call tries again. */
  startReading(): Promise<void>;
  take(max: number, signal: AbortSignal, admits?: Admits): Promise<readonly LaneItem[]>;
  /** Something was handed back, or may be admitted by now. */
  wake(): void;
  depth(): Promise<Depth>;
  /** Null while it reads or was never asked to. */
  health(): string | null;
  /** Hands out nothing more, commits what is acked, then leaves the group. */
  close(): Promise<void>;
}

export function createPartitionedLane(options: PartitionedLaneOptions): PartitionedLane {
  const { partitionLog, group, topic } = options;
  const partitions = createOwnPartitions(options);
  const waiters = new PullWaiters<LaneItem>({ pull: partitions.pull });
  let reading: Promise<GroupReader> | null = null;
  let reader: GroupReader | null = null;
  let isClosed = false;

  async function startReading(): Promise<void> {
    if (isClosed) return;
    reading ??= partitionLog.openReader(group, [topic], {
      assigned: partitions.assigned,
      lost: partitions.lost,
      records(partition, records) {
        partitions.read(partition, records);
        waiters.wake();
      },
    });
    try {
      reader = await reading;
    } catch (error) {
      reading = null;
      throw error;
    }
  }

  return {
    startReading,
    async take(max, signal, admits) {
      if (reader === null) await startReading();
      return waiters.take(max, signal, admits);
    },
    wake: () => waiters.wake(),
    depth: async () => depthOf(await partitionLog.depth(group, topic), partitions.states(), partitionLog.writtenAt),
    health: () => reader?.health() ?? null,
    async close() {
      isClosed = true;
      waiters.close();
      await partitions.close();
      const opened = await reading?.catch(() => null);
      await opened?.[Symbol.asyncDispose]();
      partitions.drop();
    },
  };
}

/** The partitions that are ours now. */
function createOwnPartitions(options: PartitionedLaneOptions) {
  const byNumber = new Map<number, LanePartition>();
  const recent = createRecentEvents(options.clock);
  const { partitionLog, group, clock } = options;
  const ends = createPartitionEnds({ partitionLog, group, clock, onFault: () => undefined });
  const outflow = createOutflow(clock);
  let turn = 0;

  function lost({ partition }: { readonly partition: number }): void {
    const own = byNumber.get(partition);
    if (own === undefined) return;
    byNumber.delete(partition);
    ends.forget(own);
    own.drop();
  }

  return {
    assigned(partition: AssignedPartition): void {
      lost(partition);
      const { lane, entropy, windowBounds: bounds, onPoison, offload } = options;
      const own = createLanePartition({ lane, clock, entropy, partition, bounds, recent, onPoison, offload });
      byNumber.set(partition.partition, own);
      ends.find(own);
    },
    lost,
    read(partition: AssignedPartition, records: readonly ConsumerRecord[]): void {
      byNumber.get(partition.partition)?.read(records);
    },
    /** An equal share of each partition, beginning with another one each time; then whatever is there. */
    pull(max: number, admits: Admits): LaneItem[] {
      const own = [...byNumber.values()];
      const items: LaneItem[] = [];
      turn = own.length === 0 ? 0 : (turn + 1) % own.length;
      const inTurn = [...own.slice(turn), ...own.slice(0, turn)];
      const share = Math.ceil(max / Math.max(1, own.length));
      for (const most of [share, max]) {
        for (const partition of inTurn) {
          if (items.length < max) items.push(...partition.pull(Math.min(most, max - items.length), admits));
        }
      }
      if (items.length === 0 && outflow.isSlow(admits.enoughPerS)) {
        for (const partition of inTurn) items.push(...partition.pullSurplus(Math.min(share, SURPLUS_MAX)));
      }
      outflow.handedOut(items.length);
      return items;
    },
    states: (): ReadonlyMap<number, LanePartitionState> =>
      new Map([...byNumber].map(([number, partition]) => [number, partition.state()])),
    drop(): void {
      for (const partition of byNumber.values()) partition.drop();
      byNumber.clear();
    },
    async close(): Promise<void> {
      ends.stop();
      await Promise.all([...byNumber.values()].map((partition) => partition.close()));
    },
  };
}

/** Items of one pull and partition. */
const SURPLUS_MAX = 64;
/**
 * Of partitions that are ours we know better than the partition log what is done: commits come late and only up to the head.
 * Of others, and of ours before anything was read, the first record that is not done is as old as the partition log says.
 */
async function depthOf(
  depths: readonly PartitionDepth[],
  own: ReadonlyMap<number, LanePartitionState>,
  writtenAt: PartitionLog["writtenAt"],
): Promise<Depth> {
  let count = 0;
  const times: number[] = [];
  const unread: TopicPosition[] = [];
  for (const { topic, partition, start, committed, end } of depths) {
    const state = own.get(partition);
    const head = Math.max(start, committed, state?.head ?? 0);
    const waiting = Math.max(0, end - head - (state?.ackedCount ?? 0));
    count += waiting;
    const atMs = state?.oldestAtMs ?? null;
    if (atMs !== null) times.push(atMs);
    else if (waiting > 0) unread.push({ topic, partition, offset: head });
  }
  if (unread.length > 0) times.push(...(await writtenAt(unread)));
  return { count, oldestAtMs: times.length === 0 ? null : Math.min(...times) };
}
