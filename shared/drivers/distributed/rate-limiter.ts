/**
 * The rate limiter of the distributed set: one in Redis for all processes, and while that cannot be asked each process for
 * itself, with its share of every limit. A process notes what it was granted, so its own window begins with that.
 *
 * Nobody asks the other way: what the windows of the processes granted is not told to Redis. So in a window that holds both
 * kinds of grants at most twice the limit passes; with one process, and Redis going away, exactly the limit.
 */
import { PosthasteError, isDamage, isStoreUnavailable, storeFault } from "../../domain/errors.ts";
import type { FailureMode } from "../../domain/key-rate-limit.ts";
import type { Clock } from "../../lib/ambient.ts";
import { unreachable } from "../../lib/assert.ts";
import { createCircuitBreaker } from "../../lib/circuit-breaker.ts";
import type { LimitRule, LimitVerdict, RateLimiter } from "../../ports/rate-limiter.ts";
import type { LocalRateLimiter } from "../memory/rate-limiter.ts";

/**
 * All that one call waits for a Redis that fails or is not connected, its second tries included; and for an answer over a
 * connection that stands. The latter is long, for a Redis that is slow and a machine that is busy must not cost the limit.
 */
export const LIMITER_WAIT_MS = 150;
export const LIMITER_ANSWER_MS = 1000;
const AGAIN_MS = 25;
/** Calls in a row without an answer; from there on one call at a time asks Redis, and the others ask nobody. */
const BREAKER = { failuresToOpen: 3, probeAfterMs: 250, probeAfterMsMax: 1000 } as const;

export interface LimitEvents {
  /** From now on this process decides by itself. Must not throw. */
  local(reason: unknown): void;
  /** Redis is asked again. Must not throw. */
  shared(localMs: number): void;
  /** A call was decided without Redis. Must not throw. */
  decided(mode: FailureMode): void;
}

export interface LimiterLine {
  /** False while calls to Redis fail at once: then nothing is tried twice. */
  readonly isReachable: () => boolean;
  /** False while there is no connection to send over. */
  readonly isConnected: () => boolean;
}

export interface DistributedLimiterOptions {
  /** Redis. */
  readonly shared: RateLimiter;
  readonly local: LocalRateLimiter;
  readonly line: LimiterLine;
  /** Processes that share each limit. */
  readonly processes: number;
  readonly clock: Pick<Clock, "monotonic" | "timer" | "soon" | "sleep">;
  readonly events: LimitEvents;
}

export function createDistributedLimiter(options: DistributedLimiterOptions): RateLimiter {
  const { shared, local, processes, events } = options;
  const ask = createAsking(options);
  const shareOf = ({ limit, windowMs }: LimitRule) => ({
    limit: Math.max(1, Math.floor(limit / processes)),
    windowMs,
  });

  async function decide(subject: string, rate: LimitRule, cost: number, error: unknown): Promise<LimitVerdict> {
    const mode = rate.failureMode ?? "local";
    events.decided(mode);
    switch (mode) {
      case "local":
        return { ...(await local.take(subject, shareOf(rate), cost)), isLocal: true };
      case "open":
        return { isGranted: true, remaining: rate.limit, resetMs: 0, atMs: 0, isLocal: true };
      case "closed":
        throw error;
      default:
        return unreachable(mode);
    }
  }

  return {
    async take(subject, rate, cost) {
      const asked = await ask(() => shared.take(subject, rate, cost));
      if (asked.kind === "away") return await decide(subject, rate, cost, asked.error);
      if (asked.answer.isGranted) local.note(subject, rate, cost);
      return asked.answer;
    },
    // What Redis takes back stays noted here: the process counts too much for one window, and never too little.
    async giveBack(subject, rate, grant) {
      if (grant.isLocal === true) {
        if (rate.failureMode === "open") return { remaining: rate.limit, resetMs: 0 };
        return await local.giveBack(subject, shareOf(rate), grant);
      }
      const asked = await ask(() => shared.giveBack(subject, rate, grant));
      if (asked.kind === "away") throw asked.error;
      return asked.answer;
    },
  };
}

type Asked<Answer> =
  | { readonly kind: "answered"; readonly answer: Answer }
  | { readonly kind: "away"; readonly error: unknown };

/** Asks Redis, not at all while it did not answer lately. */
function createAsking({ line, clock, events }: DistributedLimiterOptions) {
  const breaker = createCircuitBreaker(BREAKER);
  let localSinceMs: number | null = null;

  function succeeded(): void {
    if (!breaker.succeed() || localSinceMs === null) return;
    events.shared(clock.monotonic() - localSinceMs);
    localSinceMs = null;
  }

  function failed(error: unknown): void {
    if (!breaker.fail(clock.monotonic()) || localSinceMs !== null) return;
    localSinceMs = clock.monotonic();
    events.local(error);
  }

  return async <Answer>(call: () => Promise<Answer>): Promise<Asked<Answer>> => {
    if (!breaker.permits(clock.monotonic())) return { kind: "away", error: noAnswer() };
    const triedUntilMs = clock.monotonic() + LIMITER_WAIT_MS;
    for (;;) {
      try {
        const waitMs = line.isConnected() ? LIMITER_ANSWER_MS : triedUntilMs - clock.monotonic();
        const answer = await answerWithin(clock, Math.max(1, waitMs), call());
        succeeded();
        return { kind: "answered", answer };
      } catch (error) {
        // The key of one subject holds something else: that says nothing of Redis.
        if (!isStoreUnavailable(error) || isDamage(error)) {
          succeeded();
          if (isStoreUnavailable(error)) return { kind: "away", error };
          throw error;
        }
        if (!line.isReachable() || clock.monotonic() + AGAIN_MS >= triedUntilMs) {
          failed(error);
          return { kind: "away", error };
        }
      }
      await clock.sleep(AGAIN_MS, NEVER);
    }
  };
}

/** Rejects with `store-unavailable` after `ms`; then the call goes on unobserved, and may take units all the same. */
function answerWithin<Answer>(
  clock: Pick<Clock, "timer" | "soon">,
  ms: number,
  work: Promise<Answer>,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    // A process that was busy for so long reads the answers that lie there before it gives up.
    const giveUp = (): void => clock.soon(() => reject(noAnswer()));
    const cancel = clock.timer(ms, giveUp);
    work.then(resolve, reject).finally(cancel);
  });
}

function noAnswer(): PosthasteError {
  return storeFault("The rate limiter in Redis did not answer in time.");
}

/** The tries are bounded by themselves. */
const NEVER = new AbortController().signal;
