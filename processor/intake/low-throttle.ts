/**
 * LOW gives way to HIGH. All lanes share one event loop, and often the cores with everything else: a backlog of LOW that
 * is worked off at full speed keeps HIGH waiting in queues that no priority reaches. So while HIGH events come, LOW is
 * taken a few at a time, at a pace that adapts: lowered when its own turn comes late beside HIGH, which is how late HIGH
 * comes too, and raised a little when it comes in time. How late turns are while no HIGH runs, or while LOW does next to
 * nothing, is the machine's own noise, and no sign of anything. Without HIGH events LOW has all there is.
 */
import type { Clock } from "@posthaste/shared/lib/ambient.ts";

/** HIGH is about for so long after the last HIGH event was taken. */
export const HIGH_ABOUT_MS = 1000;
/** LOW events taken at once meanwhile: well under a millisecond of work. */
export const LOW_BURST = 4;
/** LOW events a second: where the pace begins, and what it never falls below or exceeds. */
export const LOW_PACE = { first: 400, least: 400, most: 20_000 } as const;
/** A turn that comes later than this, and than noise makes it, is a sign of too much work. */
export const LATE_MS = 1;
/** Noise that is made allowance for, at most: HIGH may come so late, too. */
const NOISE_MS_MAX = 4;
/** The same of turns at about the least pace: LOW is not what made them late. */
const OTHERS_NOISE_MS_MAX = 50;
/** A HIGH event that takes longer waits for its receiver, and costs us nothing meanwhile. */
const HIGH_RUNS_MS = 50;
/** Weight of the newest turn in the noise. */
const NOISE_WEIGHT = 0.1;
/** By these factors a turn in time raises the pace, and a late one lowers it: it falls when three in ten are late. */
const RAISE = 1.05;
const LOWER = 0.9;

export interface LowThrottle {
  /** HIGH events were taken, and one of them has ended. */
  highTaken(count?: number): void;
  highEnded(): void;
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
  let noiseMs = 0;
  let running = 0;
  const isHighAbout = (): boolean => clock.monotonic() < aboutUntil;
  const isHighRunning = (): boolean => running > 0 && clock.monotonic() < aboutUntil - HIGH_ABOUT_MS + HIGH_RUNS_MS;

  function judge(lateMs: number, wasBesideHigh: boolean): void {
    const isIdling = perS < LOW_PACE.least * 2;
    const mostMs = isIdling ? OTHERS_NOISE_MS_MAX : Math.max(NOISE_MS_MAX, noiseMs);
    if (!wasBesideHigh || isIdling) noiseMs = Math.min(mostMs, noiseMs + NOISE_WEIGHT * (lateMs - noiseMs));
    // Twice the mean: of noise that has no shape three in twenty come later, and LOW may go on.
    const isTooMuch = wasBesideHigh && lateMs > LATE_MS + 2 * noiseMs;
    perS = isTooMuch ? Math.max(LOW_PACE.least, perS * LOWER) : Math.min(LOW_PACE.most, perS * RAISE);
  }

  return {
    highTaken(count = 1) {
      running += count;
      aboutUntil = clock.monotonic() + HIGH_ABOUT_MS;
    },
    highEnded() {
      running -= 1;
    },
    async turn(max, signal) {
      if (!isHighAbout()) return max;
      const waitMs = nextAt - clock.monotonic();
      if (waitMs > 0) {
        const ranBefore = isHighRunning();
        await clock.sleep(waitMs, signal).catch(() => undefined);
        judge(clock.monotonic() - nextAt, ranBefore || isHighRunning());
      }
      return Math.min(max, LOW_BURST);
    },
    lowTaken(count) {
      if (isHighAbout()) nextAt = Math.max(nextAt, clock.monotonic()) + (count * 1000) / perS;
    },
  };
}
