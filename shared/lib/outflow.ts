/** How much a queue hands out, second by second: whether those at its end would wait for seconds. */
import type { Clock } from "./ambient.ts";

/** A queue that hands out fewer items a second is slow: the ten thousand that it may have read ahead take ten seconds and more. */
export const SLOW_PER_S = 1000;
const OUTFLOW_MS = 1000;

export interface Outflow {
  handedOut(count: number): void;
  /** Was it less than `perS`, `SLOW_PER_S` unless told, in the last whole second that was looked at? False before that. */
  isSlow(perS?: number): boolean;
}

export function createOutflow(clock: Pick<Clock, "monotonic">): Outflow {
  let sinceMs = clock.monotonic();
  let count = 0;
  let lastPerS = Infinity;
  return {
    handedOut(more) {
      count += more;
    },
    isSlow(perS = SLOW_PER_S) {
      const ms = clock.monotonic() - sinceMs;
      if (ms >= OUTFLOW_MS) {
        lastPerS = (count * 1000) / ms;
        sinceMs += ms;
        count = 0;
      }
      return lastPerS < perS;
    },
  };
}
