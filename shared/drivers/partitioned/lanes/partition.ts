/**
 * One partition of a lane while it is ours: what was read and waits to be handed out, what is being worked on, and how
 * far the group's committed offset may move. After `drop` every call does nothing: another reader has the partition.
 */
import { envelopeFault, envelopeOfHeaders } from "../../../domain/envelope-record.ts";
import type { Lane } from "../../../domain/event.ts";
import type { Clock, Entropy } from "../../../lib/ambient.ts";
import type { Admits } from "../../../lib/flow-rows.ts";
import type { LaneItem } from "../../../ports/lanes.ts";
import type { AssignedPartition, ConsumerRecord } from "../../../ports/partition-log.ts";
import { createLaneCommits } from "./commits.ts";
import type { Held, Ready } from "./ready-queue.ts";
import { createReadyQueue } from "./ready-queue.ts";
import type { RecentEvents } from "./recent-events.ts";
import type { Offload } from "./head-of-line-offload.ts";
import { createHeadOfLineOffload } from "./head-of-line-offload.ts";
import type { OffsetWindowBounds } from "../window/offset-window.ts";
import { OffsetWindow } from "../window/offset-window.ts";
import type { EndSeeker } from "../window/partition-ends.ts";
import type { OnPoison } from "../window/quarantine.ts";
import { createQuarantine } from "../window/quarantine.ts";

export interface LanePartitionOptions {
  readonly lane: Lane;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly partition: AssignedPartition;
  readonly bounds: OffsetWindowBounds;
  readonly recent: RecentEvents;
  readonly onPoison: OnPoison;
  readonly offload: Offload;
}

export interface LanePartition extends EndSeeker {
  read(records: readonly ConsumerRecord[]): void;
  /** By tenant and flow in turn; within a flow in order of offsets, what was handed back first. */
  pull(max: number, admits: Admits): LaneItem[];
  /** None unless the window is full; see `LaneItem.isSurplus`. */
  pullSurplus(max: number): LaneItem[];
  /** Acks the offsets; `committed` says when that is durable. */
  ack(offsets: readonly number[]): void;
  release(offset: number): void;
  /** See `LaneCommits.committed`. */
  committed(): Promise<void>;
  state(): LanePartitionState;
  drop(): void;
  /** Commits what is acked and lets the partition go. */
  close(): Promise<void>;
}

export interface LanePartitionState {
  readonly head: number;
  /** Offsets from head on that are done already. */
  readonly ackedCount: number;
  /** Acceptance of the first unacked event in epoch ms. */
  readonly oldestAtMs: number | null;
}

/** What a lane item carries as its handle. */
export interface LaneHandle {
  readonly owner: LanePartition;
  readonly offset: number;
}

export function createLanePartition(options: LanePartitionOptions): LanePartition {
  const { clock, partition, recent } = options;
  const controller = new AbortController();
  const { signal } = controller;
  const window = new OffsetWindow<Held>({ from: partition.from, bounds: options.bounds });
  const ready = createReadyQueue(window);
  const commits = createLaneCommits({ clock, partition, head: () => window.head() });
  const headOffload = createHeadOfLineOffload({ clock, window, offload: options.offload, offloaded: ack, signal });
  const quarantine = createQuarantine({ clock, entropy: options.entropy, onPoison: options.onPoison, signal });
  const applyBackPressure = createBackPressure(partition, window);
  let repeatsEnd = Infinity;

  function ack(offsets: readonly number[]): void {
    if (signal.aborted) return;
    for (const offset of offsets) {
      const held = window.find(offset);
      if (window.ack(offset) && held?.envelope) recent.done(held.envelope);
    }
    applyBackPressure();
    headOffload.check();
    commits.request();
  }

  function read(record: ConsumerRecord): void {
    if (record.offset < window.end()) return;
    const held = holdOf(record);
    window.add(record.offset, held, record.value?.byteLength ?? 0);
    if (held.envelope === null) quarantine.put(record, poisonReason(record), () => ack([record.offset]));
    else if (recent.enter(held.envelope)) ready.put(record.offset, held.envelope);
    else window.ack(record.offset);
  }

  function drop(): void {
    controller.abort();
    commits.drop();
    for (const { envelope } of window.items()) if (envelope !== null) recent.forget(envelope);
  }

  function handOut(taken: readonly Ready[]): LaneItem[] {
    const nowMs = clock.monotonic();
    const items = taken.map(({ offset, envelope, wasOut }): LaneItem => {
      window.begin(offset, nowMs);
      const handle: LaneHandle = { owner, offset };
      return { lane: options.lane, envelope, isRepeat: wasOut || offset < repeatsEnd, handle };
    });
    headOffload.check();
    return items;
  }

  const owner: LanePartition = {
    position: { topic: partition.topic, partition: partition.partition },
    read(records) {
      if (signal.aborted) return;
      records.forEach(read);
      ack([]);
    },
    learnEnd: (found) => void (repeatsEnd = found),
    pull: (max, admits) => (signal.aborted ? [] : handOut(ready.take(max, admits))),
    pullSurplus(max) {
      if (signal.aborted || !window.isFull()) return [];
      return handOut(ready.takeSurplus(max)).map((item) => ({ ...item, isSurplus: true }));
    },
    ack,
    release: (offset) => ready.putBack(offset),
    committed: commits.committed,
    state: () => stateOf(window),
    drop,
    async close() {
      controller.abort();
      await commits.flush();
      drop();
    },
  };
  return owner;
}

/** Pauses and resumes the partition as its window says, once for each change. */
function createBackPressure(partition: AssignedPartition, window: OffsetWindow<Held>): () => void {
  let isPaused = false;
  return () => {
    const isFull = window.isFull();
    if (isFull === isPaused) return;
    isPaused = isFull;
    if (isFull) partition.pause();
    else partition.resume();
  };
}

function stateOf(window: OffsetWindow<Held>): LanePartitionState {
  return {
    head: window.head(),
    ackedCount: window.ackedCount(),
    oldestAtMs: window.oldest()?.atMs ?? null,
  };
}

function holdOf({ headers, value, timestampMs }: ConsumerRecord): Held {
  const envelope = value === null ? null : envelopeOfHeaders(headers, value);
  return { envelope, atMs: envelope?.acceptedAtMs ?? timestampMs, isOut: false };
}

function poisonReason({ headers, value }: ConsumerRecord): string {
  return value === null ? "the record has no value, which is the event's body" : envelopeFault(headers, value);
}
