/** Every bound of the processor, in one place; each is reached with a defined outcome, named beside it. */

import { ATTEMPT_DEADLINE_MS } from "@posthaste/shared/domain/attempt.ts";
import { DISABLE_AFTER_MS } from "@posthaste/shared/domain/endpoint-trouble.ts";

export interface ProcessorLimits {
  /** Unsettled deliveries and bytes per lane (an item counts one until it is fanned out); past it the lane is not read on. */
  readonly windowItems: Readonly<Record<"high" | "medium" | "low" | "retry", number>>;
  readonly windowBytes: number;
  /** Attempts in flight in all; past it deliveries wait in their endpoint's room. */
  readonly inFlightMax: number;
  /** Of those, what MEDIUM with LOW, and LOW alone, may take: HIGH always finds a slot. */
  readonly inFlightMediumMax: number;
  readonly inFlightLowMax: number;
  /**
   * An attempt finds a slot only while more are free than twice what its endpoint holds plus an eighth of what its tenant holds:
   * a tenant alone gets 8/9 of all, and whoever holds little finds a slot beside those who hang. Endpoints that fail need more to be
   * free, and those that answer less. See `slots.ts`.
   */
  readonly tenantPerFree: number;
  /** Of those, one endpoint's share; also the ceiling of its adaptive cap. */
  readonly inFlightPerEndpointMax: number;
  /** An endpoint's cap before its first answer: who hangs from the start holds no more. */
  readonly capFirst: number;
  /** Where an endpoint's adaptive cap begins once it has answered. */
  readonly capStart: number;
  /** A delivery that would wait longer than this for its endpoint holds up others: it is deferred. */
  readonly holdUpMsMax: number;
  /** First delay of a deferral behind an open breaker, doubled per deferral up to the maximum. */
  readonly deferMs: number;
  readonly deferMsMax: number;
  /** Deliveries of one endpoint that may be deferred at once; past it they go to the dead-letter record as `backlog`. */
  readonly backlogMax: number;
  /** Held deliveries go out again at this rate per endpoint when it recovers. */
  readonly recoveryPerS: number;
  readonly attemptMs: number;
  /** An endpoint is disabled when it has failed for so long without one success; at least a second. */
  readonly disableAfterMs: number;
  /** How long a stop waits for attempts in flight before it breaks them off. */
  readonly stopMs: number;
  readonly breaker: {
    readonly failuresToOpen: number;
    readonly afterWell?: { readonly probeAfterMs: number; readonly growth: number };
    readonly probeAfterMs: number;
    readonly probeAfterMsMax: number;
  };
}

export const PROCESSOR_LIMITS: ProcessorLimits = {
  windowItems: { high: 1024, medium: 1024, low: 4096, retry: 1024 },
  windowBytes: 64 * 1024 * 1024,
  inFlightMax: 512,
  inFlightMediumMax: 448,
  inFlightLowMax: 256,
  tenantPerFree: 8,
  inFlightPerEndpointMax: 64,
  capFirst: 4,
  capStart: 16,
  holdUpMsMax: 1000,
  deferMs: 10_000,
  deferMsMax: 30 * 60 * 1000,
  backlogMax: 100_000,
  recoveryPerS: 100,
  attemptMs: ATTEMPT_DEADLINE_MS,
  disableAfterMs: DISABLE_AFTER_MS,
  stopMs: 20_000,
  breaker: {
    failuresToOpen: 5,
    probeAfterMs: 10_000,
    probeAfterMsMax: 5 * 60 * 1000,
    afterWell: { probeAfterMs: 1000, growth: 1.25 },
  },
};

/** The limits of a process that may have only so many attempts in flight, at least 16; the parts keep their proportions. */
export function limitsFor(attemptsMax: number): ProcessorLimits {
  const inFlightMax = Math.min(PROCESSOR_LIMITS.inFlightMax, attemptsMax);
  const part = (of: number): number => Math.floor((of * inFlightMax) / PROCESSOR_LIMITS.inFlightMax);
  return {
    ...PROCESSOR_LIMITS,
    inFlightMax,
    inFlightMediumMax: part(PROCESSOR_LIMITS.inFlightMediumMax),
    inFlightLowMax: part(PROCESSOR_LIMITS.inFlightLowMax),
    inFlightPerEndpointMax: Math.max(PROCESSOR_LIMITS.capFirst, part(PROCESSOR_LIMITS.inFlightPerEndpointMax)),
    capStart: Math.max(PROCESSOR_LIMITS.capFirst, part(PROCESSOR_LIMITS.capStart)),
  };
}
