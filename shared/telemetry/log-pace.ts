/** What happens again and again is logged no more often than once a second for each name, and then says how often it was not. */
import type { Clock } from "../lib/ambient.ts";

const LOG_EVERY_MS = 1000;

/** Names are constants of the code. */
export function createLogPace(clock: Pick<Clock, "monotonic">) {
  const byName = new Map<string, { loggedAtMs: number; unlogged: number }>();
  return {
    /** How many were not logged before this one; null when this one is not to be logged. */
    turn(name: string): number | null {
      const nowMs = clock.monotonic();
      const before = byName.get(name);
      if (before !== undefined && nowMs - before.loggedAtMs < LOG_EVERY_MS) {
        before.unlogged++;
        return null;
      }
      byName.set(name, { loggedAtMs: nowMs, unlogged: 0 });
      return before?.unlogged ?? 0;
    },
  };
}

/** For lines that are many by nature: `linesMax` in each second, and the next one says how many there were not. */
export function createLogBudget(clock: Pick<Clock, "monotonic">, linesMax: number) {
  let sinceMs = -Infinity;
  let lines = 0;
  let unlogged = 0;
  return {
    /** How many were not logged before this one; null when this one is not to be logged. */
    turn(): number | null {
      const nowMs = clock.monotonic();
      if (nowMs - sinceMs >= LOG_EVERY_MS) {
        sinceMs = nowMs;
        lines = 0;
      }
      if (lines >= linesMax) {
        unlogged++;
        return null;
      }
      lines++;
      const before = unlogged;
      unlogged = 0;
      return before;
    },
  };
}
