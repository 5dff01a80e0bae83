/**
 * The port `lanes` on a partition log: one topic for each lane, read by one group for each, so that a backlog of one lane is
 * fetched on connections of its own. Whoever only appends joins no group.
 *
 * What a partition log cannot do: the events of one `append` go to several partitions, so a call that fails may have written some
 * of them; an event appended twice is recognised only while the process that reads it remembers the first
 * (`recent-events.ts`); order holds within a partition; there is no bound but what waits for the producers, and
 * the partition log's disk. `ack` resolves when all that is done up to the first unfinished item of the partition is
 * committed: what lies behind that item comes again after a crash, as a repeat.
 */
import { laneOf } from "../../../domain/envelope.ts";
import type { Lane } from "../../../domain/event.ts";
import { LANES } from "../../../domain/event.ts";
import type { Clock, Entropy } from "../../../lib/ambient.ts";
import { assert } from "../../../lib/assert.ts";
import type { LaneItem, Lanes } from "../../../ports/lanes.ts";
import type { RecordProducer, PartitionLog } from "../../../ports/partition-log.ts";
import { appendParts } from "../../../ports/append-parts.ts";
import type { PartitionedLane } from "./lane.ts";
import { createPartitionedLane } from "./lane.ts";
import { recordOf, withoutCopies } from "./lane-records.ts";
import type { LaneHandle } from "./partition.ts";
import type { Offload } from "./head-of-line-offload.ts";
import type { OffsetWindowBounds } from "../window/offset-window.ts";
import type { OnPoison } from "../window/quarantine.ts";

export interface PartitionedLanesOptions {
  readonly partitionLog: Pick<PartitionLog, "openReader" | "depth" | "writtenAt">;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly topics: Readonly<Record<Lane, string>>;
  /** The lane's name is put behind it: `posthaste.lanes` reads LOW as `posthaste.lanes.low`. */
  readonly group: string;
  /** One producer may serve several lanes; they stay the caller's to dispose, after the lanes. */
  readonly producers: Readonly<Record<Lane, RecordProducer>>;
  /** For each partition; the same for all lanes, or for each its own. */
  readonly windowBounds: OffsetWindowBounds | Readonly<Record<Lane, OffsetWindowBounds>>;
  readonly onPoison: OnPoison;
  readonly offload: Offload;
}

export interface PartitionedLanes extends Lanes, AsyncDisposable {
  /** Hands out nothing more, commits what is acked, then leaves the groups. */
  [Symbol.asyncDispose](): Promise<void>;
  /** Joins the groups of all lanes; `take` does so for its own lane when nobody did. Throws what the partition log throws. */
  startReading(): Promise<void>;
  /** Whether an item was taken here, for a set that gathers a lane from several sources. */
  owns(item: LaneItem): boolean;
  /** Null while all that was started reads; else one sentence, for /readyz. */
  health(): string | null;
}

export function createPartitionedLanes(options: PartitionedLanesOptions): PartitionedLanes {
  const { clock, entropy, topics, producers, partitionLog, windowBounds, onPoison, offload } = options;
  const handles = new WeakSet<object>();
  const openLane = (lane: Lane): PartitionedLane => {
    const group = `${options.group}.${lane}`;
    const bounds = "low" in windowBounds ? windowBounds[lane] : windowBounds;
    return createPartitionedLane({
      lane,
      topic: topics[lane],
      group,
      partitionLog,
      clock,
      entropy,
      windowBounds: bounds,
      onPoison,
      offload,
    });
  };
  const byLane: Readonly<Record<Lane, PartitionedLane>> = {
    high: openLane("high"),
    medium: openLane("medium"),
    low: openLane("low"),
  };
  const isHandle = (handle: unknown): handle is LaneHandle =>
    typeof handle === "object" && handle !== null && handles.has(handle);
  const handleOf = ({ handle }: LaneItem): LaneHandle => {
    assert(isHandle(handle), "a lane item carries our handle");
    return handle;
  };

  return {
    async append(envelopes) {
      const timestampMs = clock.now();
      // One by one, so that each is known to be written or not; the producer sends them together all the same.
      const parts = withoutCopies(envelopes).map((envelope) => [envelope]);
      await appendParts(parts, async ([envelope]) => {
        if (envelope === undefined) return;
        const lane = laneOf(envelope);
        await producers[lane].append([recordOf(envelope, topics[lane], timestampMs)]);
      });
    },
    async take(lane, max, signal, admits) {
      const items = await byLane[lane].take(max, signal, admits);
      for (const { handle } of items) if (typeof handle === "object" && handle !== null) handles.add(handle);
      return items;
    },
    async ack(items) {
      const offsetsOf = Map.groupBy(items.map(handleOf), ({ owner }) => owner);
      for (const [owner, own] of offsetsOf) owner.ack(own.map(({ offset }) => offset));
      await Promise.all([...offsetsOf.keys()].map((owner) => owner.committed()));
    },
    release(items) {
      for (const { owner, offset } of items.map(handleOf)) owner.release(offset);
      for (const lane of new Set(items.map((item) => item.lane))) byLane[lane].wake();
      return Promise.resolve();
    },
    lookAgain: (lane) => byLane[lane].wake(),
    depth: (lane) => byLane[lane].depth(),
    async startReading() {
      await Promise.all(LANES.map((lane) => byLane[lane].startReading()));
    },
    owns: ({ handle }) => isHandle(handle),
    health: () => LANES.map((lane) => byLane[lane].health()).find((sentence) => sentence !== null) ?? null,
    async [Symbol.asyncDispose]() {
      await Promise.all(LANES.map((lane) => byLane[lane].close()));
    },
  };
}
