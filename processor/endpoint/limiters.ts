/** The endpoint limiters of a process: one for each endpoint that is in use, and the slots that they share. */
import type { AttemptResult } from "@posthaste/shared/domain/attempt.ts";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { EndpointSeen } from "@posthaste/shared/ports/stats.ts";
import type { PendingDelivery } from "../delivery/pending-delivery.ts";
import type { DeferReason, Entry, NotNow, Slot } from "./entry.ts";
import type { LimiterDeps } from "./limiter-deps.ts";
import type { ProcessorSample } from "@posthaste/shared/telemetry/processor.ts";
import type { Slots } from "./slots.ts";
import { parseRetryAfterMs } from "@posthaste/shared/domain/retry-policy.ts";
import { assert } from "@posthaste/shared/lib/assert.ts";
import { STOPPING } from "./entry.ts";
import type { DeferredAges } from "./deferred-ages.ts";
import { createDeferredAges } from "./deferred-ages.ts";
import { createFairSlots } from "./slots.ts";
import { EndpointLimiter } from "./limiter.ts";
import { createShortage } from "./shortage.ts";
import { createSlots } from "./slots.ts";
import { versionSeen } from "./lookup.ts";

/** Limiters kept; past it idle ones are forgotten, and learn their endpoint's pace again. */
const LIMITERS_MAX = 10_000;
/** Limiters looked at for each new one past that; those that are not idle are looked at again after all others. */
const FORGET_SCAN = 64;

export type LimitersSample = Omit<ProcessorSample, "windowFill">;

export interface EndpointLimiters {
  /** Resolves when it is known what becomes of the delivery: at once, or within `holdUpMsMax`. Never rejects. */
  enter(delivery: PendingDelivery, endpoint: Endpoint): Promise<Entry>;
  /** What was deferred is taken from the retry queue; for the age of the oldest. */
  came: DeferredAges["came"];
  /** The attempt that `slot` was for has ended with `result`. */
  leave(slot: Slot, result: AttemptResult): void;
  /**
   * As `leave`, for an attempt that was not made: the delivery is deferred. The bound on what one endpoint may have
   * deferred holds for it too.
   */
  leaveUnmade(slot: Slot, result: AttemptResult, delivery: PendingDelivery, why: DeferReason): NotNow;
  /** What is known of the endpoint now; null when nothing is remembered. */
  seen(endpointId: string): EndpointSeen | null;
  /** The endpoint was deleted: nothing of it is remembered, as soon as nothing of it is under way. */
  removed(endpointId: string): void;
  /** An overflow was recorded. False when it may come back at once; when true, `onRecovered` will tell. */
  keepsBack(endpointId: string): boolean;
  /** Calls `listener` when an endpoint answers again, or has room again for what overflowed. One listener. */
  onRecovered(listener: LimiterDeps["recovered"]): void;
  inFlight(): number;
  /** For metrics: looks at every limiter. */
  sample(): LimitersSample;
  waiting(): number;
  size(): number;
  /** Answers `stopping` to all that wait, now and from now on. Returns those whose overflow was to be called back from here. */
  close(): readonly Pick<PendingDelivery, "tenant" | "endpointId">[];
}

export function createEndpointLimiters(
  deps: Omit<LimiterDeps, "slots" | "shortage" | "fairSlots" | "ages" | "recovered" | "wallTimeOf"> & {
    readonly clock: Clock;
  },
): EndpointLimiters {
  const { limits } = deps;
  // What is remembered of an endpoint is in spans of time: a step of the wall clock neither opens nor shuts anything.
  const clock = steadyClock(deps.clock);
  const slots = createSlots({
    all: limits.inFlightMax,
    mediumAndLow: limits.inFlightMediumMax,
    low: limits.inFlightLowMax,
    tenantPerFree: limits.tenantPerFree,
  });
  const fairSlots = createFairSlots<EndpointLimiter>(slots);
  const limiters = new Map<string, EndpointLimiter>();
  const ages = createDeferredAges();
  /** Those of deleted endpoints, while something is under way in them and until somebody looks again. */
  const leaving = new Set<EndpointLimiter>();
  let isClosed = false;
  let emit: LimiterDeps["recovered"] = () => undefined;
  const shared: LimiterDeps = {
    ...deps,
    clock,
    wallTimeOf: (steadyMs) => deps.clock.now() + Math.ceil(steadyMs - clock.now()),
    slots,
    shortage: createShortage(clock, slots),
    fairSlots,
    ages,
    recovered: (tenant, endpointId) => emit(tenant, endpointId),
  };

  const limiterOf = (delivery: PendingDelivery): EndpointLimiter => {
    let limiter = limiters.get(delivery.endpointId);
    if (limiter !== undefined) return limiter;
    dropLeft();
    if (limiters.size >= LIMITERS_MAX) forgetIdle(limiters, clock.now());
    limiter = new EndpointLimiter(shared, delivery);
    limiters.set(delivery.endpointId, limiter);
    // It was found before its endpoint was deleted, and `removed` has come already.
    if (deps.lookup.peek(delivery.tenant, delivery.endpointId, versionSeen(delivery)) === null) leaving.add(limiter);
    return limiter;
  };

  /**
   * Lets go of limiters of deleted endpoints in which nothing is under way any more, however that ended; what is deferred needs
   * none to end.
   */
  const dropLeft = (): void => {
    for (const limiter of leaving) {
      if (!limiter.isUnused()) continue;
      limiter.close();
      leaving.delete(limiter);
      limiters.delete(limiter.endpointId);
    }
  };

  const limiterIn = (slot: Slot): EndpointLimiter => {
    const limiter = limiters.get(slot.endpointId);
    assert(limiter !== undefined, "a limiter stays while an attempt is in flight");
    return limiter;
  };

  const leave = (limiter: EndpointLimiter, slot: Slot, result: AttemptResult): void => {
    limiter.leave(slot, inSeconds(result, deps.clock.now()));
    if (leaving.has(limiter)) dropLeft();
    fairSlots.serve((waiting) => waiting.pump());
    shared.shortage.givenBack(limiter.tenant);
  };

  return {
    enter: (delivery, endpoint) =>
      isClosed ? Promise.resolve(STOPPING) : limiterOf(delivery).enter(delivery, endpoint),
    came: (item) => ages.came(item),
    leave: (slot, result) => leave(limiterIn(slot), slot, result),
    leaveUnmade(slot, result, delivery, why) {
      const limiter = limiterIn(slot);
      const entry = limiter.defer(delivery, why);
      leave(limiter, slot, result);
      return entry;
    },
    seen: (endpointId) => limiters.get(endpointId)?.condition.seen() ?? null,
    removed(endpointId) {
      const limiter = limiters.get(endpointId);
      if (limiter === undefined) return;
      leaving.add(limiter);
      dropLeft();
    },
    keepsBack: (endpointId) => limiters.get(endpointId)?.keepsBack() ?? false,
    onRecovered(listener) {
      emit = listener;
    },
    inFlight: () => slots.count(),
    sample: () => ({ ...sampleOf(slots, limiters), oldestDeferredAtMs: ages.oldestAtMs(deps.clock.now()) }),
    waiting: () => waitingIn(limiters),
    size: () => limiters.size,
    close() {
      isClosed = true;
      return [...limiters.values()].filter((limiter) => limiter.close());
    },
  };
}

function waitingIn(limiters: ReadonlyMap<string, EndpointLimiter>): number {
  return limiters.values().reduce((sum, limiter) => sum + limiter.waiting(), 0);
}

function sampleOf(
  slots: Slots,
  limiters: ReadonlyMap<string, EndpointLimiter>,
): Omit<LimitersSample, "oldestDeferredAtMs"> {
  const breakers = { open: 0, "half-open": 0 };
  let deferred = 0;
  for (const { condition } of limiters.values()) {
    const state = condition.breaker.state();
    if (state !== "closed") breakers[state] += 1;
    deferred += condition.deferredCount();
  }
  return { inFlight: slots.taken(), waiting: waitingIn(limiters), breakers, deferred };
}

/** Runs on from the time of day at its making, and never steps. */
function steadyClock(clock: Clock): Clock {
  const zeroMs = clock.now() - clock.monotonic();
  return { ...clock, now: () => Math.floor(zeroMs + clock.monotonic()) };
}

/** A date in `Retry-After` is one of the wall clock: as a number of seconds it holds on any. */
function inSeconds(result: AttemptResult, nowMs: number): AttemptResult {
  if (result.kind === "fault" || result.retryAfter === null) return result;
  const waitMs = parseRetryAfterMs(result.retryAfter, nowMs);
  return { ...result, retryAfter: waitMs === null ? null : String(Math.ceil(waitMs / 1000)) };
}

/** Looks at some limiters, the oldest first, and forgets those that know nothing worth keeping. */
function forgetIdle(limiters: Map<string, EndpointLimiter>, nowMs: number): void {
  let left = FORGET_SCAN;
  for (const [id, limiter] of limiters) {
    if (left === 0) return;
    left -= 1;
    limiters.delete(id);
    if (!limiter.isForgettable(nowMs)) limiters.set(id, limiter);
  }
}
