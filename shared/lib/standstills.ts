/**
 * Finds out, from the timers that come late, that the process stood still: its machine was suspended, it was stopped, or
 * its event loop was kept from running. A clock of the time of day that has gone ahead of the steady one tells it, too,
 * because the steady one stands while a machine sleeps.
 */
import type { Cancel, StandstillListener } from "./ambient.ts";

/** Well below the time after which others take over what a silent process holds. */
export const STILL_MS = 3000;
/** What came meanwhile is read within this. */
export const GRACE_MS = 500;

export interface Standstills {
  listen(listener: StandstillListener): Cancel;
  /** A timer rings that was due at `dueAtMs` of the steady clock: for how long it is to wait yet, 0 when not. */
  graceMs(dueAtMs: number): number;
}

export function createStandstills(clocks: { readonly wall: () => number; readonly steady: () => number }): Standstills {
  const listeners = new Set<StandstillListener>();
  let endedAtMs = -Infinity;
  /** What the time of day is ahead of the steady clock, as it was last seen. */
  let aheadMs = clocks.wall() - clocks.steady();

  function found(nowMs: number, ms: number, isSure: boolean): void {
    endedAtMs = nowMs;
    for (const listener of listeners) listener(ms, isSure);
  }

  return {
    listen(listener) {
      // An entry of its own, so that the same listener may listen twice.
      const own: StandstillListener = (ms, isSure) => listener(ms, isSure);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    graceMs(dueAtMs) {
      const nowMs = clocks.steady();
      const jumpMs = clocks.wall() - nowMs - aheadMs;
      aheadMs += jumpMs;
      const isKnown = nowMs < endedAtMs + GRACE_MS;
      if (!isKnown && nowMs - dueAtMs > STILL_MS) found(nowMs, nowMs - dueAtMs, true);
      else if (!isKnown && jumpMs > STILL_MS) found(nowMs, jumpMs, false);
      return dueAtMs <= endedAtMs ? Math.max(0, endedAtMs + GRACE_MS - nowMs) : 0;
    },
  };
}
