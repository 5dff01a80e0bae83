/** What is known of one endpoint, learnt from each of its answers: how much it can take, whether it is up, when to ask. */
import type { AttemptResult } from "@posthaste/shared/domain/attempt.ts";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Lane } from "@posthaste/shared/domain/event.ts";
import type { EndpointSeen } from "@posthaste/shared/ports/stats.ts";
import type { PendingDelivery } from "../delivery/pending-delivery.ts";
import type { ProcessorLimits } from "../limits.ts";
import type { DeferReason } from "./entry.ts";
import type { Failures } from "./given-up.ts";
import type { Standing } from "./slots.ts";
import { isOwnFault } from "@posthaste/shared/domain/attempt.ts";
import { isSuccess, verdictOf } from "@posthaste/shared/domain/outcome.ts";
import { parseRetryAfterMs } from "@posthaste/shared/domain/retry-policy.ts";
import { createCircuitBreaker } from "@posthaste/shared/lib/circuit-breaker.ts";
import { dueSinceMs } from "../delivery/pending-delivery.ts";
import { createDeferredCount } from "./deferred-count.ts";
import { isFailing, overdueReason } from "./given-up.ts";
import { createEndpointPace } from "./pace.ts";

/** A Retry-After quiets the whole endpoint at most this long; the single delivery obeys all of it. */
const QUIET_MS_MAX = 3600 * 1000;
/**
 * How long an endpoint counts as slow after a delivery waited too long for it. Before that nobody is deferred for an
 * expected wait: while an endpoint's pace is being learnt the guess is poor, and deferred deliveries come back at the
 * guessed pace (10,000 events at once for one quick endpoint: 510 a second by the guess, 8,000 without).
 */
const SLOW_MS = 10_000;
/** Deferred deliveries are called back when they are expected to find a slot this soon: well before they would be deferred again. */
const SOON_MS = 250;

export class EndpointCondition {
  readonly pace;
  readonly breaker;
  /** Deliveries of this endpoint that this process has deferred and that are not due yet. */
  readonly deferred = createDeferredCount();
  readonly #limits: ProcessorLimits;
  /** The time by which the retry queue gives them back; it may step. */
  readonly #queueNow: () => number;
  /** The endpoint's own rate limit, as it was last seen; null without one. */
  #perSecondMax: number | null = null;
  #terms: Pick<Endpoint, "retry" | "updatedAtMs"> = { retry: null, updatedAtMs: 0 };
  /** Its first and its last failure since its last 2xx; null while it is well, or was not asked yet. */
  #failures: Failures | null = null;
  #quietUntilMs = 0;
  #slowUntilMs = 0;
  /** The attempt that decides for a half-open breaker. */
  #probe: number | null = null;

  constructor(limits: ProcessorLimits, queueNow: () => number) {
    this.#limits = limits;
    this.#queueNow = queueNow;
    this.pace = createEndpointPace({
      capFirst: limits.capFirst,
      capStart: limits.capStart,
      capMax: limits.inFlightPerEndpointMax,
    });
    this.breaker = createCircuitBreaker(limits.breaker);
  }

  /** The endpoint as its owner has it now. */
  note({ rateLimit, retry, updatedAtMs }: Endpoint): void {
    this.#perSecondMax = rateLimit === null ? null : (1000 * rateLimit.limit) / rateLimit.windowMs;
    this.#terms = { retry, updatedAtMs };
  }

  /** The endpoint asked for silence until then: 429 or 503 with Retry-After, or its own rate limit. */
  get quietUntilMs(): number {
    return this.#quietUntilMs;
  }

  quietUntil(atMs: number): void {
    this.#quietUntilMs = Math.max(this.#quietUntilMs, atMs);
  }

  /** A delivery waited too long: until `SLOW_MS` from now newcomers with a long expected wait are deferred at once. */
  foundSlow(nowMs: number): void {
    this.#slowUntilMs = nowMs + SLOW_MS;
  }

  /** Why the delivery is dead, as the endpoint has failed for all of its schedule; null when it is not. */
  givenUpReason(delivery: PendingDelivery, nowMs: number): string | null {
    if (this.#failures === null || !isFailing(this.#failures, nowMs)) return null;
    return overdueReason(delivery, this.#terms, this.#queueNow());
  }

  /** Why a newcomer with `ahead` others before it need not even wait; null when it may. */
  refusal(ahead: number, nowMs: number): DeferReason | null {
    const { holdUpMsMax } = this.#limits;
    if (this.#quietUntilMs - nowMs > holdUpMsMax) return "throttled";
    if (!this.breaker.isPassable(nowMs)) return "breaker-open";
    return nowMs < this.#slowUntilMs && this.pace.waitMs(ahead, nowMs) > holdUpMsMax ? "busy" : null;
  }

  seen(): EndpointSeen {
    return { inFlight: this.pace.inFlight(), inFlightMax: this.pace.cap(), breaker: this.breaker.state() };
  }

  /** It answers, and soon. */
  isAnswering(nowMs: number): boolean {
    return this.breaker.state() === "closed" && this.#quietUntilMs <= nowMs && this.pace.isQuick(nowMs);
  }

  standing(nowMs: number): Standing {
    if (this.isAnswering(nowMs)) return "quick";
    const isUnwell = this.#failures !== null || this.pace.isFirstUnderWay();
    return isUnwell ? "failing" : "unknown";
  }

  /** How many more it can take now, with `ahead` others waiting or on their way; no more than its own rate limit lets pass. */
  room(ahead: number, nowMs: number): number {
    const soonMax = this.#perSecondMax === null ? Infinity : (this.#perSecondMax * SOON_MS) / 1000;
    return Math.floor(Math.min(this.pace.room(SOON_MS, nowMs), soonMax)) - ahead;
  }

  /** May one more attempt of the lane begin, as far as the endpoint's cap goes? LOW holds at most half of it. */
  isOpenTo(lane: Lane, lowHeld: number): boolean {
    return lane !== "low" || lowHeld < Math.max(1, this.pace.cap() >> 1);
  }

  /** An attempt of the lane begins, LOW's `lowHeld`-th if it is one of LOW; gives its token. */
  begin(lane: Lane, lowHeld: number, nowMs: number): number {
    const token = this.pace.begin(nowMs);
    if (!this.isOpenTo(lane, lowHeld)) this.pace.usedUp();
    if (this.breaker.state() === "half-open") this.#probe = token;
    return token;
  }

  /** Takes an answer into pace, breaker and quiet time; says when that turned the breaker. */
  record(token: number, result: AttemptResult, nowMs: number): "opened" | "closed" | null {
    // While half-open the probe alone decides: attempts from before the breaker opened say nothing about now.
    const isTelling = this.breaker.state() !== "half-open" || token === this.#probe;
    if (isOwnFault(result)) {
      this.pace.end(token, nowMs, "none");
      if (isTelling) this.breaker.forget();
      return null;
    }
    const isGood = result.kind === "answered" && isSuccess(result.status);
    this.#failures = isGood ? null : { firstAtMs: this.#failures?.firstAtMs ?? nowMs, lastAtMs: nowMs };
    const verdict = verdictOf(result);
    this.pace.end(token, nowMs, verdict === "overloaded" ? "overloaded" : "healthy");
    if (result.kind === "answered" && (result.status === 429 || result.status === 503)) {
      this.quietUntil(nowMs + Math.min(parseRetryAfterMs(result.retryAfter, nowMs) ?? 0, QUIET_MS_MAX));
    }
    if (!isTelling) return null;
    // 429 is an answer of a living endpoint that wants less; it slows, it does not open the breaker.
    const isAlive = verdict === "healthy" || (result.kind === "answered" && result.status === 429);
    if (isAlive) return this.breaker.succeed() ? "closed" : null;
    return this.breaker.fail(nowMs) ? "opened" : null;
  }

  /** Are so many deferred that one more has to go to the dead-letter record? */
  isBacklogFull(): boolean {
    return this.deferredCount() >= this.#limits.backlogMax;
  }

  deferredCount(): number {
    return this.deferred.count(this.#queueNow());
  }

  /**
   * May deliveries that overflowed come back? With half of the bound free, so that they do not overflow again at once.
   * An endpoint that does not answer gets some when nothing else of this process is there to ask it: what was deferred
   * may come back to other processes.
   */
  hasRoom(nowMs: number): boolean {
    if (this.breaker.state() === "closed") return this.deferredCount() <= this.#limits.backlogMax / 2;
    return this.breaker.isPassable(nowMs) && this.deferredCount() === 0;
  }

  /** In how many ms that may be worth asking again. */
  roomInMs(nowMs: number): number {
    const most = this.breaker.state() === "closed" ? this.#limits.backlogMax / 2 : 0;
    const queueNowMs = this.#queueNow();
    const waitMs = this.deferred.whenAtMostMs(most, queueNowMs) - queueNowMs;
    return Math.max(waitMs, this.breaker.probeAtMs() - nowMs);
  }

  /**
   * Until when to defer: not before the endpoint can have changed, doubled per deferral, and then its next free slot. No
   * deferral more than doubles the age: who was called back often, in vain each time, is not put off for half an hour by that.
   * Whoever waits for the endpoint's own rate limit gets a slot at the rate of that limit and is not put off for longer
   * each time: it is known when there is room (40 events at a limit of 2 a second took 35 minutes with doubling).
   */
  deferUntilMs(delivery: PendingDelivery, why: DeferReason, nowMs: number): number {
    const { deferMs, deferMsMax, holdUpMsMax, recoveryPerS } = this.#limits;
    const isUnsent = why === "unresolved" || why === "exhausted";
    const isUnreached = why === "breaker-open" || isUnsent;
    const before = isUnsent ? delivery.unmade : delivery.deferrals;
    const isOwnLimit = !isUnreached && this.#perSecondMax !== null;
    const firstMs = isUnreached ? deferMs : holdUpMsMax;
    const ageMs = this.#queueNow() - dueSinceMs(delivery);
    // Accepted by a clock ahead of ours: its age is not known.
    const longestMs = ageMs > 0 ? Math.max(firstMs, ageMs) : Infinity;
    const delayMs = Math.min(firstMs * 2 ** (isOwnLimit ? 0 : Math.min(before, 30)), longestMs, deferMsMax);
    const earliestMs = Math.max(nowMs + delayMs, this.breaker.probeAtMs(), this.#quietUntilMs);
    return this.pace.reserve(earliestMs, isUnreached ? recoveryPerS : this.#perSecondMax);
  }

  /** Is there nothing worth remembering? An open breaker is until its probe is due, quiet time and deferrals are. */
  isBlank(nowMs: number): boolean {
    return this.breaker.probeAtMs() <= nowMs && this.#quietUntilMs <= nowMs && this.deferredCount() === 0;
  }
}
