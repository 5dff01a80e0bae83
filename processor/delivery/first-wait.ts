/**
 * Sends a delivery on its way for the first time: at once to its endpoint's gate, or by way of the retry queue when the
 * endpoint's policy has a wait before attempt 1 (`delays_s` beginning with more than 0).
 */
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Clock, Entropy } from "@posthaste/shared/lib/ambient.ts";
import type { EndpointLimiters } from "../endpoint/limiter.ts";
import type { PendingDelivery } from "./pending-delivery.ts";
import type { Settle } from "./settle.ts";
import { waitBeforeMs } from "@posthaste/shared/domain/retry-policy.ts";

export function createBegin(deps: {
  clock: Clock;
  entropy: Entropy;
  gates: Pick<EndpointLimiters, "submit">;
  settle: Pick<Settle, "postponed">;
}): (outgoing: PendingDelivery, endpoint: Endpoint) => void {
  return (outgoing, endpoint) => {
    // The default schedule begins at once.
    const waitMs = endpoint.retry === null ? 0 : (waitBeforeMs(endpoint.retry, 1, deps.entropy.fraction()) ?? 0);
    if (waitMs > 0) {
      // The members of a group wait for its youngest.
      const sinceMs = Math.max(...outgoing.members.map(({ acceptedAtMs, deliverAtMs }) => deliverAtMs ?? acceptedAtMs));
      const notBeforeMs = sinceMs + waitMs;
      if (notBeforeMs > deps.clock.now()) return void deps.settle.postponed(outgoing, notBeforeMs);
    }
    deps.gates.submit(outgoing, endpoint);
  };
}
