/**
 * What one endpoint can take, learned from its answers: an in-flight cap (one more per capful of answers, halved on
 * overload, once per round trip), how long an answer takes, and the next free slot for a delivery that has to wait
 * outside. Pure but for its own state; time is an argument.
 */

export interface EndpointPace {
  /** Whole attempts that may be in flight, at least 1. */
  cap(): number;
  begin(nowMs: number): number;
  /** What begins now finds no more room: good answers from here on raise the cap, though part of it is kept for others. */
  usedUp(): void;
  /** `token` is what `begin` gave. */
  end(token: number, nowMs: number, verdict: "healthy" | "overloaded" | "none"): void;
  inFlight(): number;
  /** It has answered, and what is in flight is not long under way. */
  isQuick(nowMs: number): boolean;
  /** It was asked, and none of its answers has come yet. */
  isFirstUnderWay(): boolean;
  /** Expected wait in ms of a delivery with `ahead` others before it. */
  waitMs(ahead: number, nowMs: number): number;
  /** How many more would find a slot within `soonMs`; one more capful at most beside those that find one at once. */
  room(soonMs: number, nowMs: number): number;
  /** Reserves the next slot not before `earliestMs`: deferred deliveries come back spread at the rate they can be served. */
  reserve(earliestMs: number, perSecondMax: number | null): number;
}

/** Weight of the newest answer in the mean. */
const MEAN_WEIGHT = 0.1;
/** The spacing of reserved slots is never wider: an endpoint that once took 15 s is not paced at 4 a minute. */
const SPACING_MS_MAX = 1000;
/** Slots are reserved this much closer than the pace seen: who comes too early is deferred again, a gap is lost for ever. */
const OPTIMISM = 2;
/** Slots are reserved at most this far ahead; what comes later shares the last one. */
const HORIZON_MS = 30 * 60 * 1000;

/**
 * An endpoint whose answers take this long doubles its cap each round trip until it is overloaded for the first time (as
 * TCP's slow start does, RFC 5681 section 3.1): at one more per capful, 64 in flight at 5 s each would take four minutes.
 */
const SLOW_ANSWER_MS = 1000;

/** `capFirst`: the cap until the first answer; a good one raises it to `capStart`. */
export function createEndpointPace(settings: { capFirst: number; capStart: number; capMax: number }): EndpointPace {
  let cap = Math.min(settings.capFirst, settings.capStart);
  let hasAnswered = false;
  let meanMs: number | null = null;
  let halvedAtMs = 0;
  let reservedMs = 0;
  let nextToken = 0;
  let hasOverloaded = false;
  /** The last attempt that used the cap up; those that were in flight with it may raise the cap. */
  let fullToken = 0;
  /** Start times of attempts in flight, oldest first. */
  const started = new Map<number, number>();

  const latencyMs = (nowMs: number) => {
    const oldest = started.values().next();
    return Math.max(meanMs ?? 0, oldest.done === true ? 0 : nowMs - oldest.value);
  };

  return {
    cap: () => Math.max(1, Math.floor(cap)),
    inFlight: () => started.size,
    begin(nowMs) {
      nextToken += 1;
      started.set(nextToken, nowMs);
      if (started.size >= Math.floor(cap)) fullToken = nextToken;
      return nextToken;
    },
    usedUp() {
      fullToken = nextToken;
    },
    end(token, nowMs, verdict) {
      const startedAtMs = started.get(token) ?? nowMs;
      const wasFull = fullToken >= token;
      started.delete(token);
      if (verdict === "none") return;
      const tookMs = nowMs - startedAtMs;
      meanMs = meanMs === null ? tookMs : meanMs + MEAN_WEIGHT * (tookMs - meanMs);
      const isFirst = !hasAnswered;
      hasAnswered = true;
      if (verdict === "healthy") {
        if (isFirst && cap < settings.capStart) cap = settings.capStart;
        else if (wasFull)
          cap = Math.min(settings.capMax, cap + (tookMs >= SLOW_ANSWER_MS && !hasOverloaded ? 1 : 1 / cap));
      } else if (startedAtMs >= halvedAtMs) {
        hasOverloaded = true;
        cap = Math.max(1, cap / 2);
        halvedAtMs = nowMs;
      }
    },
    isQuick: (nowMs) => hasAnswered && latencyMs(nowMs) < SLOW_ANSWER_MS,
    isFirstUnderWay: () => !hasAnswered && started.size > 0,
    waitMs: (ahead, nowMs) => (Math.max(0, ahead + 1 - (cap - started.size)) / cap) * latencyMs(nowMs),
    room(soonMs, nowMs) {
      const capfuls = Math.min(1, soonMs / Math.max(1, latencyMs(nowMs)));
      return Math.floor(cap) - started.size + Math.floor(cap * capfuls);
    },
    reserve(earliestMs, perSecondMax) {
      const ownMs = Math.min(SPACING_MS_MAX, (meanMs ?? 0) / (cap * OPTIMISM));
      const spacingMs = perSecondMax === null ? ownMs : Math.max(ownMs, 1000 / perSecondMax);
      reservedMs = Math.min(
        Math.max(earliestMs, reservedMs + spacingMs),
        Math.max(earliestMs, earliestMs + HORIZON_MS),
      );
      return Math.ceil(reservedMs);
    },
  };
}
