/**
 * LOW gives way to HIGH. All lanes share one event loop, and often the cores with everything else: a backlog of LOW that
 * is worked off at full speed keeps HIGH waiting in queues that no priority reaches. So while HIGH events come, LOW is
 * taken a few at a time, at a pace that adapts: lowered when its own turn comes late beside HIGH, which is how late HIGH
 * comes too, and raised a little when it comes in time. How late turns are while LOW does next to nothing is the machine's
 * own noise, and no sign of anything. What would only wait at an endpoint that answers is left in its lane, too
 * (`endpoint/low-waiting.ts`). Without HIGH events LOW has all there is.
 */
import type { LowWaiting } from "../endpoint/low-waiting.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { Admits } from "@posthaste/shared/lib/flow-rows.ts";

/** HIGH is about for so long after the last HIGH event was taken. */
export const HIGH_ABOUT_MS = 1000;
/** LOW events taken at once meanwhile, at most: well under a millisecond of work. At a slow pace they come singly, so that nobody waits for a whole burst. */
export const LOW_BURST = 4;
const BURST_MS = 5;
/** LOW events a second: what the pace begins with and never falls below, and what it never exceeds. */
export const LOW_PACE = { least: 200, most: 20_000 } as const;
/** A turn that comes later than this, and than noise makes it, is a sign of too much work. */
export const LATE_MS = 1;
/** Noise that is made allowance for, at most: that of a machine on which others have much to do. */
const NOISE_MS_MAX = 50;
/** A HIGH event that takes longer waits for its receiver, and costs us nothing meanwhile. */
const HIGH_RUNS_MS = 50;
/** Weight of the newest turn in the noise. */
const NOISE_WEIGHT = 0.1;
/** At more than about the least pace noise cannot be told from LOW's own doing: half of what was learned is forgotten in this time. */
const NOISE_HALF_MS = 5000;
/**
 * By these factors a turn in time raises the pace, and a late one beside HIGH lowers it. It falls when one in fifty is late while HIGH
 * events come all the time, and when one in fourteen is where they are under way for a quarter of it.
 */
const RAISE = 1.01;
const LOWER = 0.6;
/** A take that lasts longer found nothing at once: the pace is not what LOW waits for, and turns say nothing of a higher one. */
const AT_ONCE_MS = 1;

export interface LowThrottle {
  /** HIGH events were taken, and one of them has ended. */
  highTaken(count?: number): void;
  highEnded(): void;
  /** How many LOW events may be taken now, at most `max`; waits for their turn while HIGH is about. */
  turn(max: number, signal: AbortSignal): Promise<number>;
  /** Of whom the LOW events of this turn may be. */
  admission(admits: Admits): Admits;
  /** So many LOW events were taken; `surplus` of them though they were refused, so that others are seen: these come at the least pace. */
  lowTaken(count: number, surplus: number): void;
}

export function createLowThrottle(clock: Clock, lowWaiting: Pick<LowWaiting, "isEnough">): LowThrottle {
  // Whether HIGH events come is not known at the start: LOW begins gently.
  let aboutUntil = clock.monotonic() + HIGH_ABOUT_MS;
  let nextAt = clock.monotonic();
  let perS: number = LOW_PACE.least;
  let noiseMs = 0;
  let judgedAt = clock.monotonic();
  let turnAt = clock.monotonic();
  let wasAtOnce = true;
  let running = 0;
  const isHighAbout = (): boolean => clock.monotonic() < aboutUntil;
  const isHighRunning = (): boolean => running > 0 && clock.monotonic() < aboutUntil - HIGH_ABOUT_MS + HIGH_RUNS_MS;
  const burst = (): number => Math.min(LOW_BURST, Math.max(1, Math.floor((perS * BURST_MS) / 1000)));

  function judge(lateMs: number, wasBesideHigh: boolean): void {
    const nowMs = clock.monotonic();
    if (perS < LOW_PACE.least * 2) noiseMs = Math.min(NOISE_MS_MAX, noiseMs + NOISE_WEIGHT * (lateMs - noiseMs));
    else noiseMs *= 0.5 ** ((nowMs - judgedAt) / NOISE_HALF_MS);
    judgedAt = nowMs;
    // Twice the mean: of noise that has no shape three in twenty come later.
    const isLate = lateMs > LATE_MS + 2 * noiseMs;
    if (isLate && wasBesideHigh) perS = Math.max(LOW_PACE.least, perS * LOWER);
    else if (!isLate && wasAtOnce) perS = Math.min(LOW_PACE.most, perS * RAISE);
  }

  const besideHigh = (admits: Admits): Admits =>
    Object.assign(
      (tenant: string, flow: number | null) =>
        !(isHighAbout() && lowWaiting.isEnough(tenant, flow)) && admits(tenant, flow),
      { anew: () => besideHigh(admits.anew?.() ?? admits), ...(isHighAbout() ? { enoughPerS: LOW_PACE.least } : {}) },
    );

  async function untilNext(signal: AbortSignal): Promise<void> {
    const waitMs = nextAt - clock.monotonic();
    if (waitMs <= 0) return;
    const ranBefore = isHighRunning();
    await clock.sleep(waitMs, signal).catch(() => undefined);
    judge(Math.max(0, clock.monotonic() - nextAt), ranBefore || isHighRunning());
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
      const isBeside = isHighAbout();
      if (isBeside) await untilNext(signal);
      turnAt = clock.monotonic();
      return isBeside ? Math.min(max, burst()) : max;
    },
    admission: besideHigh,
    lowTaken(count, surplus) {
      wasAtOnce = clock.monotonic() - turnAt <= AT_ONCE_MS;
      const forMs = 1000 * ((count - surplus) / perS + surplus / LOW_PACE.least);
      if (isHighAbout()) nextAt = Math.max(nextAt, clock.monotonic()) + forMs;
    },
  };
}
