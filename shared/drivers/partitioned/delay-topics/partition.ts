/**
 * One partition of the wheel, from its assignment until it is lost: what was read and is not settled, in the order it
 * was written, which is the order of hop times. It reads on only when all that it holds is near its hop time, so that
 * a topic of long waits keeps about one answer of the log in memory and not all of its backlog.
 */
import type { Clock } from "../../../lib/ambient.ts";
import { assert } from "../../../lib/assert.ts";
import type { AssignedPartition, LogRecord } from "../../../ports/partition-log.ts";
import type { RetryItem, Scheduled } from "../../../ports/retry-queue.ts";
import { onAbort } from "../../../lib/on-abort.ts";
import type { LaneCommits } from "../lanes/commits.ts";
import { createLaneCommits } from "../lanes/commits.ts";
import type { OffsetWindow, OffsetWindowBounds } from "../window/offset-window.ts";
import { createOffsetWindow } from "../window/offset-window.ts";
import type { EndSeeker } from "../window/partition-ends.ts";
import type { OnPoison } from "../window/quarantine.ts";
import { createPoisonDesk } from "../window/quarantine.ts";
import { parseRetryRecord } from "./retry-record.ts";
import type { WheelPlan } from "./plan.ts";

/** An item as it was read; also the handle of what is handed out. */
export interface WheelEntry {
  readonly home: WheelPartition;
  readonly offset: number;
  readonly hopAtMs: number;
  readonly notBeforeMs: number;
  /** Of this process; keeps what is due together in the order it was read. */
  readonly sequence: number;
  readonly hops: number;
  /** Null once settled or lost, so that a handle that lives on holds no bodies. */
  item: Scheduled | null;
  /** Handed out and not handed back. */
  isOut: boolean;
  /** Decided when it is handed out for the first time. */
  isRepeat: boolean | null;
}

export interface WheelPartition extends EndSeeker {
  /** Offsets below it may have been worked on before; all are until the end of the partition is known. */
  repeatBelow: number;
  isLost: boolean;
  /** Takes in what is new; the items that wait for their own time and not for a hop. */
  admit(records: readonly LogRecord[]): readonly WheelEntry[];
  /** The first items whose hop time has come, at most `max`; they are in the caller's hands. */
  takeHops(nowMs: number, max: number): readonly WheelEntry[];
  /** After hops that failed; they are offered again from `againAtMs` on. */
  putHopsBack(entries: readonly WheelEntry[], againAtMs: number): void;
  /** When the next hop is to be made; null when none is known. */
  nextHopAtMs(): number | null;
  /** False when it was settled before. What is settled together is then committed together. */
  settle(offset: number): boolean;
  readonly commits: LaneCommits;
  /** Pauses or resumes; the time at which to ask again, null when nothing but a settled item or a record can matter. */
  regulate(nowMs: number): number | null;
  /** All items that are not settled. */
  entries(): IterableIterator<WheelEntry | null>;
  /** Items of the partition that are not settled, those up to `end` that were not read included. */
  unsettledCount(end: number): number;
  lose(): void;
}

export interface WheelPartitionOptions {
  readonly assigned: AssignedPartition;
  readonly delayMs: number;
  readonly plan: WheelPlan;
  readonly bounds: OffsetWindowBounds;
  readonly clock: Clock;
  readonly onPoison: OnPoison;
  /** The end of the wheel. */
  readonly signal: AbortSignal;
  readonly nextSequence: () => number;
}

/** What a record costs beside its value, about. */
const ENTRY_BYTES = 500;
/** From this fill on, the window is kept for what comes: only the shortest waits end in it, others in the smallest topic. */
const CROWDED_FILL = 0.25;

export function createWheelPartition(options: WheelPartitionOptions): WheelPartition {
  const { assigned, plan, clock } = options;
  const window = createOffsetWindow<WheelEntry | null>({ from: assigned.from, bounds: options.bounds });
  const commits = createLaneCommits({ clock, partition: assigned, head: window.head });
  const hops = createHops();
  const reading = createReading(assigned, window, options);
  const gone = new AbortController();
  const stopListening = onAbort(options.signal, () => gone.abort());
  const poison = createPoisonDesk({ clock, onPoison: options.onPoison, signal: gone.signal });

  const partition: WheelPartition = {
    position: { topic: assigned.topic, partition: assigned.partition },
    repeatBelow: Infinity,
    isLost: false,
    learnEnd: (end) => void (partition.repeatBelow = end),
    admit(records) {
      const last: WheelEntry[] = [];
      for (const record of records) {
        const parsed = parseRetryRecord(record);
        const entry = parsed.kind === "item" ? entryOf(partition, record, parsed, options) : null;
        if (!window.add(record.offset, entry, ENTRY_BYTES + (record.value?.length ?? 0))) continue;
        reading.seen(record.timestampMs);
        if (parsed.kind === "poison") poison.give(record, parsed.reason, () => settlePoison(record.offset));
        if (entry === null) continue;
        if (plan.isLast(entry.hopAtMs, entry.notBeforeMs, isCrowded())) last.push(entry);
        else hops.push(entry);
      }
      return last;
    },
    takeHops: hops.take,
    putHopsBack: hops.putBack,
    nextHopAtMs: hops.nextAtMs,
    settle(offset) {
      const entry = window.find(offset);
      if (!window.settle(offset)) return false;
      if (entry) entry.item = null;
      return true;
    },
    commits,
    regulate: reading.regulate,
    entries: () => window.items(),
    unsettledCount: (end) => Math.max(0, end - window.end()) + window.count(),
    lose() {
      partition.isLost = true;
      gone.abort();
      stopListening();
      commits.drop();
      hops.clear();
      for (const entry of window.items()) if (entry !== null) entry.item = null;
    },
  };

  /** The smallest topic takes in what the others have no room for: nothing would be won by writing to it once more. */
  function isCrowded(): boolean {
    return options.delayMs !== plan.delaysMs[0] && window.fill() >= CROWDED_FILL;
  }

  function settlePoison(offset: number): void {
    partition.settle(offset);
    commits.request();
  }

  return partition;
}

function entryOf(
  home: WheelPartition,
  record: LogRecord,
  parsed: { readonly item: Scheduled; readonly hops: number },
  options: WheelPartitionOptions,
): WheelEntry {
  return {
    home,
    offset: record.offset,
    hopAtMs: record.timestampMs + options.delayMs,
    notBeforeMs: parsed.item.notBeforeMs,
    sequence: options.nextSequence(),
    hops: parsed.hops,
    item: parsed.item,
    isOut: false,
    isRepeat: null,
  };
}

/** Items that go on to another topic, in the order of their hop times, which is the order they came in. */
function createHops() {
  let waiting: WheelEntry[] = [];
  let notBeforeMs = -Infinity;
  return {
    push: (entry: WheelEntry) => void waiting.push(entry),
    take(nowMs: number, max: number): readonly WheelEntry[] {
      if (nowMs < notBeforeMs) return [];
      const firstLater = waiting.findIndex(({ hopAtMs }) => hopAtMs > nowMs);
      const dueCount = firstLater === -1 ? waiting.length : firstLater;
      return waiting.splice(0, Math.min(max, dueCount));
    },
    putBack(entries: readonly WheelEntry[], againAtMs: number): void {
      waiting.unshift(...entries);
      notBeforeMs = againAtMs;
    },
    nextAtMs(): number | null {
      const first = waiting[0];
      return first === undefined ? null : Math.max(first.hopAtMs, notBeforeMs);
    },
    clear(): void {
      waiting = [];
    },
  };
}

/** Whether to read on: not while the window is full, and not while the record read last is far from its hop time. */
function createReading(
  assigned: AssignedPartition,
  window: OffsetWindow<WheelEntry | null>,
  { delayMs, plan }: WheelPartitionOptions,
) {
  let isPaused = false;
  let lastWrittenAtMs = -Infinity;
  return {
    seen(timestampMs: number): void {
      lastWrittenAtMs = timestampMs;
    },
    regulate(nowMs: number): number | null {
      // A record of the future (the log's clock jumped back since) is no reason to wait longer than one delay.
      const nearAtMs = Math.min(lastWrittenAtMs, nowMs) + delayMs - plan.leadMs;
      const isFar = nearAtMs > nowMs;
      const shouldPause = window.isFull() || isFar;
      if (shouldPause !== isPaused) {
        isPaused = shouldPause;
        if (shouldPause) assigned.pause();
        else assigned.resume();
      }
      return isFar ? nearAtMs : null;
    },
  };
}

export function entryOfItem(item: RetryItem): WheelEntry {
  const handle = item.handle as WheelEntry | null;
  assert(typeof handle?.offset === "number" && typeof handle.sequence === "number", "a retry item carries our handle");
  return handle;
}
