/** Items of a partition that go on to another topic, in the order of their relay times, which is the order they came in. */
import type { Clock } from "../../../lib/ambient.ts";
import type { DelayedEntry } from "./partition.ts";

export function createRelayQueue(clock: Pick<Clock, "now" | "monotonic">) {
  let waiting: DelayedEntry[] = [];
  /** Of the clock that never steps: after relays that failed. */
  let pausedUntilMs = -Infinity;
  return {
    push(entry: DelayedEntry): void {
      for (let at = waiting.length - 1; at >= 0; at--) {
        const before = waiting[at];
        if (before === undefined || before.relayAtMs <= entry.relayAtMs) break;
        before.relayAtMs = entry.relayAtMs;
      }
      waiting.push(entry);
    },
    take(nowMs: number, max: number): readonly DelayedEntry[] {
      if (clock.monotonic() < pausedUntilMs) return [];
      const firstLater = waiting.findIndex(({ relayAtMs }) => relayAtMs > nowMs);
      const dueCount = firstLater === -1 ? waiting.length : firstLater;
      return waiting.splice(0, Math.min(max, dueCount)).filter(({ isLast }) => !isLast);
    },
    putBack(entries: readonly DelayedEntry[], againAfterMs: number): void {
      waiting.unshift(...entries);
      pausedUntilMs = clock.monotonic() + againAfterMs;
    },
    nextAtMs(): number | null {
      const first = waiting[0];
      if (first === undefined) return null;
      return Math.max(first.relayAtMs, clock.now() + Math.max(0, pausedUntilMs - clock.monotonic()));
    },
    clear(): void {
      waiting = [];
    },
  };
}
