/**
 * What waits in memory for its own time: handed out at that time, in its order, to whoever takes. One alarm is
 * set, for the earliest thing that is to happen.
 */
import { Alarm } from "../../../lib/alarm.ts";
import type { Clock } from "../../../lib/ambient.ts";
import { RecentSet } from "../../../lib/recent-set.ts";
import { PullWaiters } from "../../../lib/waiters.ts";
import type { RetryItem, Scheduled } from "../../../ports/retry-queue.ts";
import type { DelayedEntry } from "./partition.ts";
import { createRecalls } from "./recalls.ts";
import { createTurns } from "./turns.ts";

/** Items that were handed out lately and are remembered at least; up to twice as many are. About 15 MB at most. */
const HANDED_OUT_MAX = 50_000;

export interface DueItems {
  /** For the first time, or handed back. */
  add(entry: DelayedEntry): void;
  /** Resolves with what is due, at once or later; with nothing only when the signal is aborted or all was stopped. */
  take(max: number, signal: AbortSignal): Promise<readonly RetryItem[]>;
  /** Waits for a relay: it may be recalled before. */
  watch(entry: DelayedEntry): void;
  /** A relay takes it. */
  unwatch(entry: DelayedEntry): void;
  /** Makes deferred items of the endpoint due: at most `max`, and how many those were. */
  recall(endpointId: string, max: number): number;
  /** Was one more asked for than there were? Then it is due now. */
  isMissed(entry: DelayedEntry): boolean;
  /** Wakes those who wait when something is due; else sees to a ring when the next will be. */
  serve(): void;
  /** Sees to a ring at that time, if there is none before it. */
  ringAt(atMs: number): void;
  /** Times of what waits were changed. */
  reorder(): void;
  /** Drops what belongs to partitions that were lost. */
  dropLost(): void;
  /** Hands out nothing more, and rings no more. */
  stop(): void;
}

/** `ring` is called at the times that were asked for, and may be called sooner. */
export function createDueItems(clock: Pick<Clock, "now" | "timer" | "monotonic">, ring: () => void): DueItems {
  const turns = createTurns();
  const recalls = createRecalls(clock);
  const handedOut = new RecentSet<string>({ countMax: HANDED_OUT_MAX });
  const waiters = new PullWaiters<RetryItem>({ pull });
  const alarm = new Alarm(clock, ring);

  function pull(max: number): RetryItem[] {
    const nowMs = clock.now();
    const items: RetryItem[] = [];
    for (let entry = turns.first(); items.length < max && entry !== undefined; entry = turns.first()) {
      const { item, notBeforeMs } = entry;
      if (notBeforeMs > nowMs && item !== null) {
        alarm.setFor(notBeforeMs);
        break;
      }
      drop(entry);
      // Null: acked since it was handed back.
      if (item !== null) items.push(handOut(entry, item, handedOut));
    }
    return items;
  }

  function add(entry: DelayedEntry): void {
    turns.set(entry);
    recalls.waits(entry);
  }

  function drop(entry: DelayedEntry): void {
    turns.remove(entry);
    recalls.forget(entry);
  }

  function serve(): void {
    const first = turns.first();
    if (first === undefined) return;
    if (first.notBeforeMs > clock.now()) alarm.setFor(first.notBeforeMs);
    else waiters.wake();
  }

  return {
    add,
    watch: recalls.waits,
    unwatch: recalls.forget,
    take: (max, signal) => waiters.take(max, signal),
    recall(endpointId, max) {
      const nowMs = clock.now();
      const taken = recalls.take(endpointId, max, nowMs);
      for (const entry of taken) {
        entry.notBeforeMs = nowMs;
        entry.isLast = true;
        add(entry);
      }
      serve();
      return taken.length;
    },
    isMissed(entry) {
      if (!recalls.isMissed(entry)) return false;
      entry.notBeforeMs = Math.min(entry.notBeforeMs, clock.now());
      return true;
    },
    serve,
    ringAt: (atMs) => alarm.setFor(atMs),
    reorder() {
      for (const entry of turns.moved()) add(entry);
      serve();
    },
    dropLost() {
      recalls.dropLost();
      turns.dropLost();
    },
    stop() {
      alarm.stop();
      waiters.close();
    },
  };
}

/**
 * False is a promise: nobody had the item in hand before. A log takes what it is given: an item that was scheduled twice,
 * or whose append was repeated because its answer was lost, comes twice, and the second time somebody may have worked on
 * it. A relayed item may have been appended twice by a process that crashed in between, and the copies may come in any
 * order, so each of them counts as a repeat.
 */
function handOut(entry: DelayedEntry, item: Scheduled, handedOut: RecentSet<string>): RetryItem {
  const { home, offset, relays } = entry;
  const isCopy = entry.isRepeat === null && !handedOut.add(keyOf(item));
  entry.isOut = true;
  entry.isRepeat ??= isCopy || relays > 0 || offset < home.repeatBelow;
  return { ...item, notBeforeMs: entry.notBeforeMs, isRepeat: entry.isRepeat, handle: entry };
}

/**
 * The piece of work: the same delivery, attempt and deferral. The group's id stands for its members, and the time tells an
 * event from one that failed to be accepted under the same id.
 */
function keyOf(item: Scheduled): string {
  const first = item.members[0];
  const subject = item.group?.id ?? `${first?.tenant} ${first?.id} ${first?.acceptedAtMs}`;
  return `${item.cause} ${subject} ${item.endpointId ?? ""} ${item.generation} ${item.attempt} ${item.deferrals} ${item.unmade} ${item.putAside}`;
}
