/** What the gates of a process share, and what they need from the rest of it. */
import type { AttemptResult } from "@posthaste/shared/domain/attempt.ts";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { RateLimiter } from "@posthaste/shared/ports/rate-limiter.ts";
import type { EndpointTelemetry } from "@posthaste/shared/telemetry/endpoint.ts";
import type { Gate, ParkReason } from "./limiter-state.ts";
import type { ProcessorLimits } from "../limits.ts";
import type { PendingDelivery } from "../delivery/pending-delivery.ts";
import type { Slots } from "./slots.ts";
import type { FairSlots } from "./fair-slots.ts";

export interface GateDeps {
  readonly clock: Clock;
  readonly limits: ProcessorLimits;
  readonly rateLimiter: RateLimiter;
  readonly telemetry: EndpointTelemetry;
  /** The endpoint as it is now, or null when the message must not go there and was dealt with. */
  admit(outgoing: PendingDelivery, endpoint: Endpoint): Endpoint | null;
  /** Makes the attempt; must not reject. */
  attempt(outgoing: PendingDelivery, endpoint: Endpoint): Promise<AttemptResult>;
  /** Called with the slot already free. */
  settle(outgoing: PendingDelivery, endpoint: Endpoint, result: AttemptResult): void;
  /** Calls the message's `handBack` when it could not be parked. */
  park(outgoing: PendingDelivery, why: ParkReason, notBeforeMs: number): void;
  /** Too many are parked already. */
  overflow(outgoing: PendingDelivery): void;
  /** The endpoint answers again after its breaker was open, or has room again for what overflowed. */
  recovered(tenant: string, endpointId: string): void;
}

/** What all gates of a process share. */
export interface Yard {
  readonly deps: GateDeps;
  readonly gates: Map<string, Gate>;
  readonly slots: Slots;
  /** Gates that could launch but for a free slot of the lane; served in turn. */
  readonly fairSlots: FairSlots;
  waiting: number;
  isClosed: boolean;
}
