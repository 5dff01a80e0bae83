/**
 * LOW gives way to HIGH. All lanes share one event loop, and often the cores with everything else: a backlog of LOW that
 * is worked off at full speed keeps HIGH waiting in queues that no priority reaches. So while HIGH events come, LOW is
 * taken a few at a time, at a pace that adapts: halved when its own turn comes late, which is how late HIGH comes too,
 * and raised a little when it comes in time. Without HIGH events LOW has all there is.
 */
import type { Clock } from "@posthaste/shared/lib/ambient.ts";

/** HIGH is about for so long after the last HIGH event was taken. */
export const HIGH_ABOUT_MS = 1000;
/** LOW events taken at once meanwhile: well under a millisecond of work. */
export const LOW_BURST = 4;
/** LOW events a second: where the pace begins, and what it never falls below or exceeds. */
export const LOW_PACE = { first: 200, least: 100, most: 20_000 } as const;
/** A turn that comes later than this is a sign of too much work. */
export const LATE_MS = 1;
const RAISE = 1.02;

export interface LowThrottle {
  /** HIGH events were taken. */
  highTaken(): void;
  /** How many LOW events may be taken now, at most `max`; waits for their turn while HIGH is about. */
  turn(max: number, signal: AbortSignal): Promise<number>;
  /** So many LOW events were taken. */
  lowTaken(count: number): void;
}

export function createLowThrottle(clock: Clock): LowThrottle {
  // Whether HIGH events come is not known at the start: LOW begins gently.
  let aboutUntil = clock.monotonic() + HIGH_ABOUT_MS;
  let nextAt = clock.monotonic();
  let perS: number = LOW_PACE.first;
  const isHighAbout = (): boolean => clock.monotonic() < aboutUntil;
  return {
    highTaken() {
      aboutUntil = clock.monotonic() + HIGH_ABOUT_MS;
    },
    async turn(max, signal) {
      if (!isHighAbout()) return max;
      const waitMs = nextAt - clock.monotonic();
      if (waitMs > 0) {
        await clock.sleep(waitMs, signal).catch(() => undefined);
        const isLate = clock.monotonic() - nextAt > LATE_MS;
        perS = isLate ? Math.max(LOW_PACE.least, perS / 2) : Math.min(LOW_PACE.most, perS * RAISE);
      }
      return Math.min(max, LOW_BURST);
    },
    lowTaken(count) {
      if (isHighAbout()) nextAt = Math.max(nextAt, clock.monotonic()) + (count * 1000) / perS;
    },
  };
}
