/** What waits in memory for its own time: handed out at that time, in its order, to whoever takes. */
import type { Clock } from "../../../lib/ambient.ts";
import type { RetryItem, Scheduled } from "../../../ports/retry-queue.ts";
import type { LaneWaiters } from "../lanes/waiters.ts";
import { createLaneWaiters } from "../lanes/waiters.ts";
import { createHeap } from "./heap.ts";
import type { KnownItems } from "./recent-entries.ts";
import type { WheelEntry } from "./partition.ts";

export interface WheelDue {
  /** For the first time, or handed back. */
  add(entry: WheelEntry): void;
  readonly waiters: LaneWaiters<RetryItem>;
  /** Wakes the waiters when something is due; asks to be called again when the next will be. */
  serve(): void;
  /** Drops what belongs to partitions that were lost. */
  dropLost(): void;
}

export function createWheelDue(options: {
  readonly clock: Pick<Clock, "now">;
  readonly known: KnownItems;
  /** Asks for a call of `serve` at that time. */
  readonly wakeAt: (atMs: number) => void;
}): WheelDue {
  const { clock, known, wakeAt } = options;
  const heap = createHeap<WheelEntry>(
    (left, right) => left.notBeforeMs - right.notBeforeMs || left.sequence - right.sequence,
  );

  function pull(max: number): RetryItem[] {
    const nowMs = clock.now();
    const items: RetryItem[] = [];
    for (let first = heap.peek(); items.length < max && first !== undefined; first = heap.peek()) {
      // Settled since it was handed back.
      if (first.item === null) {
        heap.pop();
        continue;
      }
      if (first.notBeforeMs > nowMs) {
        wakeAt(first.notBeforeMs);
        break;
      }
      heap.pop();
      items.push(handOut(first, first.item, known));
    }
    return items;
  }

  const waiters = createLaneWaiters<RetryItem>(pull);
  return {
    add: heap.push,
    waiters,
    serve() {
      const first = heap.peek();
      if (first === undefined) return;
      if (first.notBeforeMs > clock.now()) wakeAt(first.notBeforeMs);
      else waiters.wake();
    },
    dropLost: () => heap.retain(({ home }) => !home.isLost),
  };
}

/**
 * False is a promise: nobody had the item in hand before. An item that hopped may have been appended twice by a process
 * that crashed in between, and the copies may come in any order, so that each of them counts as a repeat.
 */
function handOut(entry: WheelEntry, item: Scheduled, known: KnownItems): RetryItem {
  const { home, offset, hops } = entry;
  const wasKnown = entry.isRepeat === null && known.enter(item);
  entry.isOut = true;
  entry.isRepeat ??= wasKnown || hops > 0 || offset < home.repeatBelow;
  return { ...item, isRepeat: entry.isRepeat, handle: entry };
}
