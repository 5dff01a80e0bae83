/**
 * Tells when nothing has come back for a while although something is waited for. Many may wait at once, and as long as any
 * of them comes back none has stalled: a long queue that moves is not a stall. One timer for all.
 */
import type { Cancel, Clock } from "./ambient.ts";

/** A timer that rings so late says that this process stood still, and nothing of what it waits for. */
const LATE_MS = 250;

export interface StallWatch {
  /**
   * Something is waited for from now on. `onStall` is called once, when nothing has come back for the time of the watch. The
   * returned function ends the wait; `isAnswer` when something came back.
   */
  begin(onStall: () => void): (isAnswer: boolean) => void;
}

/** `stallMsOf` is asked at each look. */
export function createStallWatch(clock: Pick<Clock, "monotonic" | "timer">, stallMsOf: () => number): StallWatch {
  /** In the order in which they began. */
  const waits = new Set<{ readonly sinceMs: number; readonly onStall: () => void }>();
  let answeredAtMs = -Infinity;
  let cancel: Cancel | null = null;

  function arm(afterMs: number): void {
    const dueAtMs = clock.monotonic() + afterMs;
    cancel = clock.timer(afterMs, () => {
      cancel = null;
      look(clock.monotonic() - dueAtMs > LATE_MS);
    });
  }

  function look(wasLate: boolean): void {
    const [oldest] = waits;
    if (oldest === undefined) return;
    const stallMs = stallMsOf();
    const quietMs = clock.monotonic() - Math.max(answeredAtMs, oldest.sinceMs);
    if (wasLate || quietMs < stallMs) return arm(wasLate ? stallMs : Math.max(1, stallMs - quietMs));
    const all = [...waits];
    waits.clear();
    for (const { onStall } of all) onStall();
  }

  return {
    begin(onStall) {
      const wait = { sinceMs: clock.monotonic(), onStall };
      waits.add(wait);
      if (cancel === null) arm(stallMsOf());
      return (isAnswer) => {
        waits.delete(wait);
        if (isAnswer) answeredAtMs = clock.monotonic();
        if (waits.size > 0) return;
        cancel?.();
        cancel = null;
      };
    },
  };
}
