/** What the endpoint limiters of a process share. */
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { RateLimiter } from "@posthaste/shared/ports/rate-limiter.ts";
import type { EndpointTelemetry } from "@posthaste/shared/telemetry/endpoint.ts";
import type { ProcessorLimits } from "../limits.ts";
import type { DeferredAges } from "./deferred-ages.ts";
import type { EndpointLimiter } from "./limiter.ts";
import type { EndpointLookup } from "./lookup.ts";
import type { Shortage } from "./shortage.ts";
import type { LowWaiting } from "./low-waiting.ts";
import type { FairSlots, Slots } from "./slots.ts";

export interface LimiterDeps {
  /** Its time of day never steps. */
  readonly clock: Clock;
  /** For queues and people: the time of day that is as far away as `steadyMs` is on `clock`. */
  readonly wallTimeOf: (steadyMs: number) => number;
  readonly limits: ProcessorLimits;
  readonly rateLimiter: Pick<RateLimiter, "take">;
  readonly telemetry: EndpointTelemetry;
  readonly lookup: EndpointLookup;
  readonly slots: Slots;
  readonly shortage: Shortage<EndpointLimiter>;
  readonly fairSlots: FairSlots<EndpointLimiter>;
  readonly ages: DeferredAges;
  readonly lowWaiting: Pick<LowWaiting, "isCounted" | "came" | "went">;
  /** Makes deferred deliveries of the endpoint due, at most `max`; see the retry queue's port. */
  readonly recall: (endpointId: string, max: number) => Promise<number>;
  /** Emits that the endpoint answers again after its breaker was open, or has room again for what overflowed. */
  readonly recovered: (tenant: string, endpointId: string) => void;
}
