/**
 * The arithmetic of the delay topics: which topic an item goes to, and whether it is the last one. Pure. Each topic has one
 * constant delay, so that the record read first is also the first to go on, and a partition needs no order but its own.
 */
import { assert } from "../../../lib/assert.ts";

/** Delays of the topics; a wait of half an hour takes at most 11 appends, one of fourteen hours 20, of thirty days 52. */
export const DELAYS_MS: readonly number[] = [5000, 60_000, 10 * 60_000, 3600_000, 6 * 3600_000, 24 * 3600_000];

/**
 * An item is relayed at its relay time, which is when it was written and the topic's delay. Its record is read the lead
 * before that. A log may answer up to half a second late when all that is read was paused; twice that is the least lead.
 */
const LEAD_MS_MIN = 1000;

/** Last waits up to this long end in memory, while the window has room; what is written once more costs an append. */
const HELD_MS_MAX = 60_000;

export interface DelayPlan {
  /** Rising. */
  readonly delaysMs: readonly number[];
  /** How long before its time a record is read; at least the smallest delay, so its topic is never paused for time. */
  readonly leadMs: number;
  /**
   * The largest delay that fits into the wait, or the smallest one. A delay that is longer than the wait by up to half
   * the lead fits, too: its record is read in time all the same, and a wait of ten minutes that lost a millisecond on
   * its way here takes one topic of ten minutes, not nine of one and eleven of five seconds.
   */
  delayFor(waitMs: number): number;
  /**
   * Less than a minute is left after the relay time: the item waits in memory until it is due. In a crowd only what has
   * less than the smallest delay left does.
   */
  isLast(relayAtMs: number, notBeforeMs: number, isCrowded: boolean): boolean;
}

export function createDelayPlan(delaysMs: readonly number[]): DelayPlan {
  const rising = delaysMs.toSorted((left, right) => left - right);
  const smallest = rising[0];
  assert(smallest !== undefined && smallest > 0, "there is at least one delay, above zero");
  const leadMs = Math.max(LEAD_MS_MIN, smallest);
  const heldMs = Math.max(HELD_MS_MAX, smallest);
  return {
    delaysMs: rising,
    leadMs,
    delayFor: (waitMs) => rising.findLast((delayMs) => delayMs <= waitMs + leadMs / 2) ?? smallest,
    isLast: (relayAtMs, notBeforeMs, isCrowded) => notBeforeMs < relayAtMs + (isCrowded ? smallest : heldMs),
  };
}

const UNITS = [
  ["d", 24 * 3600_000],
  ["h", 3600_000],
  ["m", 60_000],
  ["s", 1000],
] as const;

/** `5s`, `10m`, `6h`, `1d`, or `1500ms`: the end of a topic's name. */
export function delayName(delayMs: number): string {
  const unit = UNITS.find(([, unitMs]) => delayMs >= unitMs && delayMs % unitMs === 0);
  return unit === undefined ? `${delayMs}ms` : `${delayMs / unit[1]}${unit[0]}`;
}
