/**
 * Finds out that the time of day was set back, by what it is ahead of the steady clock, whenever it is asked. That it went
 * forth is not told: so it does while a machine sleeps.
 */
import type { Clock } from "./ambient.ts";

/** What a clock that is being slewed differs by from one look to the next is less. */
const SET_MS = 1000;

/** The ms by which it was set back since it was asked last, 0 when it was not. */
export type FindSetBack = () => number;

export function createSetBacks(clock: Pick<Clock, "now" | "monotonic">): FindSetBack {
  const ahead = (): number => clock.now() - clock.monotonic();
  let aheadMs = ahead();
  return () => {
    const backMs = aheadMs - ahead();
    aheadMs -= backMs;
    return backMs > SET_MS ? Math.round(backMs) : 0;
  };
}
