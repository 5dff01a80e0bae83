/**
 * One partition of a lane while it is ours: what was read and waits to be handed out, what is being worked on, and how
 * far the group's committed offset may move. After `drop` every call does nothing: another reader has the partition.
 */
import type { Envelope } from "../../../domain/envelope.ts";
import { envelopeOfHeaders } from "../../../domain/envelope-record.ts";
import type { Lane } from "../../../domain/event.ts";
import type { Clock } from "../../../lib/ambient.ts";
import type { LaneItem } from "../../../ports/lanes.ts";
import type { AssignedPartition, LogRecord } from "../../../ports/partition-log.ts";
import { createLaneCommits } from "./commits.ts";
import type { KnownEvents } from "./recent-events.ts";
import type { Relieve } from "./head-of-line-offload.ts";
import { createLaneRelief } from "./head-of-line-offload.ts";
import type { OffsetWindow, OffsetWindowBounds } from "../window/offset-window.ts";
import { createOffsetWindow } from "../window/offset-window.ts";
import type { EndSeeker } from "../window/partition-ends.ts";
import type { OnPoison } from "../window/quarantine.ts";
import { createPoisonDesk } from "../window/quarantine.ts";

export interface LanePartitionOptions {
  readonly lane: Lane;
  readonly clock: Clock;
  readonly partition: AssignedPartition;
  readonly bounds: OffsetWindowBounds;
  readonly known: KnownEvents;
  readonly onPoison: OnPoison;
  readonly relieve: Relieve;
}

export interface LanePartition extends EndSeeker {
  read(records: readonly LogRecord[]): void;
  /** In order of offsets, what was handed back first. */
  pull(max: number): LaneItem[];
  /** Settles the offsets; `committed` says when that is durable. */
  settle(offsets: readonly number[]): void;
  release(offset: number): void;
  /** See `LaneCommits.committed`. */
  committed(): Promise<void>;
  state(): LanePartitionState;
  drop(): void;
  /** Commits what is settled and lets the partition go. */
  close(): Promise<void>;
}

export interface LanePartitionState {
  readonly head: number;
  /** Offsets from head on that are done already. */
  readonly settledCount: number;
  readonly unsettledCount: number;
  readonly unsettledBytes: number;
  /** Acceptance of the first unsettled event in epoch ms. */
  readonly oldestAtMs: number | null;
}

interface Held {
  /** Null for poison. */
  readonly envelope: Envelope | null;
  readonly atMs: number;
  /** Handed out and neither settled nor handed back. */
  isOut: boolean;
}

/** Offsets handed out already that the ready queue keeps before it makes itself smaller. */
const READY_TRIM = 1024;

/** What a lane item carries as its handle. */
export interface LogHandle {
  readonly owner: LanePartition;
  readonly offset: number;
}

export function createLanePartition(options: LanePartitionOptions): LanePartition {
  const { clock, partition, known } = options;
  const controller = new AbortController();
  const { signal } = controller;
  const window = createOffsetWindow<Held>({ from: partition.from, bounds: options.bounds });
  const ready = createReadyQueue(window);
  const commits = createLaneCommits({ clock, partition, head: window.head });
  const relief = createLaneRelief({ clock, window, relieve: options.relieve, relieved: settle, signal });
  const desk = createPoisonDesk({ clock, onPoison: options.onPoison, signal });
  const brake = createBrake(partition, window);
  let repeatsEnd = Infinity;

  function settle(offsets: readonly number[]): void {
    if (signal.aborted) return;
    for (const offset of offsets) {
      const held = window.find(offset);
      if (window.settle(offset) && held?.envelope) known.done(held.envelope);
    }
    brake();
    relief.check();
    commits.request();
  }

  function read(record: LogRecord): void {
    if (record.offset < window.end()) return;
    const held = holdOf(record);
    window.add(record.offset, held, record.value?.byteLength ?? 0);
    if (held.envelope === null) desk.give(record, poisonReason(record), () => settle([record.offset]));
    else if (known.enter(held.envelope)) ready.put(record.offset);
    else window.settle(record.offset);
  }

  function drop(): void {
    controller.abort();
    commits.drop();
    for (const { envelope } of window.items()) if (envelope !== null) known.forget(envelope);
  }

  const owner: LanePartition = {
    position: { topic: partition.topic, partition: partition.partition },
    read(records) {
      if (signal.aborted) return;
      records.forEach(read);
      settle([]);
    },
    learnEnd: (found) => void (repeatsEnd = found),
    pull(max) {
      if (signal.aborted) return [];
      const nowMs = clock.monotonic();
      const items = ready.take(max).map(({ offset, envelope }): LaneItem => {
        window.begin(offset, nowMs);
        const handle: LogHandle = { owner, offset };
        return { lane: options.lane, envelope, isRepeat: offset < repeatsEnd, handle };
      });
      relief.check();
      return items;
    },
    settle,
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

/** What may be handed out, in order; as many offsets as the window holds records. */
function createReadyQueue(window: OffsetWindow<Held>) {
  let fresh: number[] = [];
  let freshAt = 0;
  const returned: number[] = [];

  function next(): number | undefined {
    const back = returned.shift();
    if (back !== undefined) return back;
    const offset = fresh[freshAt];
    if (offset === undefined) return undefined;
    freshAt++;
    if (freshAt >= READY_TRIM && freshAt * 2 >= fresh.length) {
      fresh = fresh.slice(freshAt);
      freshAt = 0;
    }
    return offset;
  }

  return {
    put: (offset: number) => void fresh.push(offset),
    putBack(offset: number): void {
      const held = window.find(offset);
      if (held?.isOut !== true) return;
      held.isOut = false;
      window.giveBack(offset);
      returned.push(offset);
    },
    take(max: number): { offset: number; envelope: Envelope }[] {
      const taken: { offset: number; envelope: Envelope }[] = [];
      while (taken.length < max) {
        const offset = next();
        if (offset === undefined) break;
        const held = window.find(offset);
        // Settled since: its relief came to its end after it was handed back.
        if (!held?.envelope) continue;
        held.isOut = true;
        taken.push({ offset, envelope: held.envelope });
      }
      return taken;
    },
  };
}

/** Pauses and resumes the partition as its window says, once for each change. */
function createBrake(partition: AssignedPartition, window: OffsetWindow<Held>): () => void {
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
    settledCount: window.settledCount(),
    unsettledCount: window.count(),
    unsettledBytes: window.bytes(),
    oldestAtMs: window.oldest()?.atMs ?? null,
  };
}

function holdOf({ headers, value, timestampMs }: LogRecord): Held {
  const envelope = value === null ? null : envelopeOfHeaders(headers, value);
  return { envelope, atMs: envelope?.acceptedAtMs ?? timestampMs, isOut: false };
}

function poisonReason(record: LogRecord): string {
  return record.value === null
    ? "The record has no value, which is the event's body."
    : "The record's headers are not those of an event.";
}
