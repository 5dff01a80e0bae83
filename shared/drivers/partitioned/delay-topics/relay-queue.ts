/** Items that go on to another topic, in the order of their relay times, which is the order they came in. */
import type { Clock } from "../../../lib/ambient.ts";
import type { DelayedEntry } from "./partition.ts";

/** Items that no relay takes any more and that are kept all the same, beside as many as the partition holds. */
const SPENT_MAX = 1000;

export interface RelayQueue {
  push(entry: DelayedEntry): void;
  /** The first whose time has come, at most `max`; none for a while after `putBack`. */
  take(nowMs: number, max: number): readonly DelayedEntry[];
  /** They are offered again `againAfterMs` later, and before them nothing. */
  putBack(entries: readonly DelayedEntry[], againAfterMs: number): void;
  nextAtMs(): number | null;
  clear(): void;
  /** What is kept: at most twice what the partition holds, and `SPENT_MAX`. */
  size(): number;
}

/** `heldCount`: the partition's items that are not acked. */
export function createRelayQueue(clock: Pick<Clock, "now" | "monotonic">, heldCount: () => number): RelayQueue {
  let waiting: DelayedEntry[] = [];
  /** Of the clock that never steps: after relays that failed. */
  let pausedUntilMs = -Infinity;

  /** What was called back is done long before its relay time: without this it would stay until then, however much there is. */
  function sweep(): void {
    if (waiting.length <= 2 * heldCount() + SPENT_MAX) return;
    waiting = waiting.filter(({ isLast, item }) => !isLast && item !== null);
  }

  return {
    push(entry) {
      for (let at = waiting.length - 1; at >= 0; at--) {
        const before = waiting[at];
        if (before === undefined || before.relayAtMs <= entry.relayAtMs) break;
        before.relayAtMs = entry.relayAtMs;
      }
      waiting.push(entry);
      sweep();
    },
    take(nowMs, max) {
      if (clock.monotonic() < pausedUntilMs) return [];
      const firstLater = waiting.findIndex(({ relayAtMs }) => relayAtMs > nowMs);
      const dueCount = firstLater === -1 ? waiting.length : firstLater;
      return waiting.splice(0, Math.min(max, dueCount)).filter(({ isLast }) => !isLast);
    },
    putBack(entries, againAfterMs) {
      waiting.unshift(...entries);
      pausedUntilMs = clock.monotonic() + againAfterMs;
    },
    nextAtMs() {
      const first = waiting[0];
      if (first === undefined) return null;
      return Math.max(first.relayAtMs, clock.now() + Math.max(0, pausedUntilMs - clock.monotonic()));
    },
    clear() {
      waiting = [];
    },
    size: () => waiting.length,
  };
}
