/**
 * One partition of a delay topic, from its assignment until it is lost: what was read and is not acked, in the order it
 * was written, which is the order of relay time. In a topic of long waits, and in a crowd, it reads on only when all that it
 * holds is near its relay time, so that about one answer of the partition log is kept in memory and not all of its backlog.
 */
import type { Clock, Entropy } from "../../../lib/ambient.ts";
import { assert } from "../../../lib/assert.ts";
import type { AssignedPartition, ConsumerRecord } from "../../../ports/partition-log.ts";
import type { RetryItem, Scheduled } from "../../../ports/retry-queue.ts";
import { onAbort } from "../../../lib/on-abort.ts";
import type { LaneCommits } from "../lanes/commits.ts";
import { createLaneCommits } from "../lanes/commits.ts";
import type { OffsetWindowBounds } from "../window/offset-window.ts";
import { OffsetWindow } from "../window/offset-window.ts";
import type { EndSeeker } from "../window/partition-ends.ts";
import type { OnPoison } from "../window/quarantine.ts";
import { createQuarantine } from "../window/quarantine.ts";
import { parseRetryRecord } from "./retry-record.ts";
import type { LogTime } from "./log-time.ts";
import type { DelayPlan } from "./plan.ts";
import { createRelayQueue } from "./relay-queue.ts";

/** An item as it was read; also the handle of what is handed out. */
export interface DelayedEntry {
  readonly home: DelayPartition;
  readonly offset: number;
  /** Lowered when what was written behind it is to be relayed sooner: the partition log's clock stepped back. */
  relayAtMs: number;
  /** The log's time, as it was written; earlier once it was recalled, or the log's clock was set back. */
  notBeforeMs: number;
  /** Of this process; keeps what is due together in the order it was read. */
  readonly sequence: number;
  readonly relays: number;
  /** Null once acked or lost, so that a handle that lives on holds no bodies. */
  item: Scheduled | null;
  /** Handed out and not handed back. */
  isOut: boolean;
  /** It waits for its own time, or was called back: no relay takes it. */
  isLast: boolean;
  /** Decided when it is handed out for the first time; true once it was handed back. */
  isRepeat: boolean | null;
}

/** The log's clock was found to have been set back: by how much, and before which entry. */
export interface SetBack {
  readonly ms: number;
  readonly sequence: number;
}

export interface DelayPartition extends EndSeeker {
  /** Offsets below it may have been worked on before; all are until the end of the partition is known. */
  repeatBelow: number;
  isLost: boolean;
  /** Takes in what is new: the items that wait for their own time, and those that wait for a relay. */
  admit(records: readonly ConsumerRecord[]): Admitted;
  /** Its entries read before that keep their waits; a `deliver_at` keeps its time. */
  setBack(setBack: SetBack): void;
  /** The first items whose relay time has come, at most `max`; they are in the caller's hands. */
  takeDueRelays(nowMs: number, max: number): readonly DelayedEntry[];
  /** After relays that failed; they are offered again `againAfterMs` later. */
  putRelaysBack(entries: readonly DelayedEntry[], againAfterMs: number): void;
  /** When the next relay is to be made; null when none is known. */
  nextRelayAtMs(): number | null;
  /** False when it was acked before. What is acked together is then committed together. */
  ack(offset: number): boolean;
  readonly commits: LaneCommits;
  /** Pauses or resumes; the time at which to ask again, null when nothing but a acked item or a record can matter. */
  regulate(nowMs: number): number | null;
  /** All items that are not acked. */
  entries(): IterableIterator<DelayedEntry | null>;
  /** Items of the partition that are not acked, those up to `end` that were not read included. */
  unackedCount(end: number): number;
  lose(): void;
}

export interface Admitted {
  readonly last: DelayedEntry[];
  readonly relayed: DelayedEntry[];
  setBack: SetBack | null;
}

export interface DelayPartitionOptions {
  readonly assigned: AssignedPartition;
  readonly delayMs: number;
  readonly plan: DelayPlan;
  readonly bounds: OffsetWindowBounds;
  /** By the log's time of day. */
  readonly clock: Clock;
  readonly logTime: Pick<LogTime, "seen" | "written">;
  readonly entropy: Entropy;
  readonly onPoison: OnPoison;
  /** The end of the queue. */
  readonly signal: AbortSignal;
  readonly nextSequence: () => number;
}

/** What a record costs beside its value, about. */
const ENTRY_BYTES = 500;
/** From this fill on, the window is kept for what comes: only the shortest waits end in it, others in the smallest topic. */
const CROWDED_FILL = 0.25;
/** Topics of at most this delay are read ahead: a wait of up to ten minutes is then in memory from its first moment on. */
const READ_AHEAD_MS_MAX = 60_000;

export function createDelayPartition(options: DelayPartitionOptions): DelayPartition {
  const { assigned, plan, clock } = options;
  const window = new OffsetWindow<DelayedEntry | null>({ from: assigned.from, bounds: options.bounds });
  const commits = createLaneCommits({ clock, partition: assigned, head: () => window.head() });
  const relays = createRelayQueue(clock, () => window.count());
  const reading = createReading(assigned, window, options);
  const gone = new AbortController();
  const stopListening = onAbort(options.signal, () => gone.abort());
  const quarantine = createQuarantine({
    clock,
    entropy: options.entropy,
    onPoison: options.onPoison,
    signal: gone.signal,
  });

  const partition: DelayPartition = {
    position: { topic: assigned.topic, partition: assigned.partition },
    repeatBelow: Infinity,
    isLost: false,
    learnEnd: (end) => void (partition.repeatBelow = end),
    admit(records) {
      const admitted: Admitted = { last: [], relayed: [], setBack: null };
      for (const record of records) {
        const parsed = parseRetryRecord(record);
        const entry = parsed.kind === "item" ? entryOf(partition, record, parsed, options) : null;
        if (!window.add(record.offset, entry, ENTRY_BYTES + (record.value?.length ?? 0))) continue;
        const backMs = reading.seen(record.timestampMs);
        if (parsed.kind === "item" && parsed.written !== null) {
          options.logTime.written(parsed.written.writer, parsed.written.atMs, record.timestampMs);
        }
        if (backMs > 0) admitted.setBack = { ms: backMs, sequence: entry?.sequence ?? options.nextSequence() };
        if (parsed.kind === "poison") quarantine.put(record, parsed.reason, () => ackPoison(record.offset));
        if (entry === null) continue;
        entry.isLast = plan.isLast(entry.relayAtMs, entry.notBeforeMs, isCrowded());
        admitted[entry.isLast ? "last" : "relayed"].push(entry);
        if (!entry.isLast) relays.push(entry);
      }
      return admitted;
    },
    setBack({ ms, sequence }) {
      for (const entry of window.items()) {
        if (entry === null || entry.sequence >= sequence || entry.item === null) continue;
        entry.relayAtMs -= ms;
        if (entry.item.cause !== "deliver-at") entry.notBeforeMs -= ms;
      }
    },
    takeDueRelays: relays.take,
    putRelaysBack: relays.putBack,
    nextRelayAtMs: relays.nextAtMs,
    ack(offset) {
      const entry = window.find(offset);
      if (!window.ack(offset)) return false;
      if (entry) entry.item = null;
      return true;
    },
    commits,
    regulate: reading.regulate,
    entries: () => window.items(),
    unackedCount: (end) => Math.max(0, end - window.end()) + window.count(),
    lose() {
      partition.isLost = true;
      gone.abort();
      stopListening();
      commits.drop();
      relays.clear();
      for (const entry of window.items()) if (entry !== null) entry.item = null;
    },
  };

  /** The smallest topic takes in what the others have no room for: nothing would be won by writing to it once more. */
  function isCrowded(): boolean {
    return options.delayMs !== plan.delaysMs[0] && window.fill() >= CROWDED_FILL;
  }

  function ackPoison(offset: number): void {
    partition.ack(offset);
    commits.request();
  }

  return partition;
}

function entryOf(
  home: DelayPartition,
  record: ConsumerRecord,
  parsed: { readonly item: Scheduled; readonly relays: number },
  options: DelayPartitionOptions,
): DelayedEntry {
  return {
    home,
    offset: record.offset,
    relayAtMs: record.timestampMs + options.delayMs,
    notBeforeMs: parsed.item.notBeforeMs,
    sequence: options.nextSequence(),
    relays: parsed.relays,
    item: parsed.item,
    isOut: false,
    isLast: false,
    isRepeat: null,
  };
}

/** Whether to read on: not while the window is full, and not while the record read last is far from its relay time. */
function createReading(
  assigned: AssignedPartition,
  window: OffsetWindow<DelayedEntry | null>,
  { delayMs, plan, logTime }: DelayPartitionOptions,
) {
  let isPaused = false;
  let lastWrittenAtMs = -Infinity;
  return {
    /** By how much the log's clock was set back since the record before. */
    seen(timestampMs: number): number {
      const backMs = logTime.seen(timestampMs, lastWrittenAtMs);
      lastWrittenAtMs = timestampMs;
      return backMs;
    },
    regulate(nowMs: number): number | null {
      // A record of the future (the partition log's clock jumped back since) is no reason to wait longer than one delay.
      const nearAtMs = Math.min(lastWrittenAtMs, nowMs) + delayMs - plan.leadMs;
      const isFar = nearAtMs > nowMs;
      // While there is much room, short waits are read at once: what was deferred can be called back from memory.
      const mayReadAhead = delayMs <= READ_AHEAD_MS_MAX && window.fill() < CROWDED_FILL;
      const shouldPause = window.isFull() || (isFar && !mayReadAhead);
      if (shouldPause !== isPaused) {
        isPaused = shouldPause;
        if (shouldPause) assigned.pause();
        else assigned.resume();
      }
      return isFar ? nearAtMs : null;
    },
  };
}

export function entryOfItem(item: RetryItem): DelayedEntry {
  const handle = item.handle as DelayedEntry | null;
  assert(typeof handle?.offset === "number" && typeof handle.sequence === "number", "a retry item carries our handle");
  return handle;
}
