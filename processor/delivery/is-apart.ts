/** Whether the spans of a delivery leave the trace of its event: an event with many endpoints fills no trace with them. */
import type { Directory } from "@posthaste/shared/ports/directory.ts";
import type { PendingDelivery } from "./pending-delivery.ts";
import { matches } from "@posthaste/shared/domain/endpoint.ts";
import { ENDPOINTS_IN_TRACE_MAX } from "@posthaste/shared/telemetry/span-places.ts";
import { firstMember } from "./pending-delivery.ts";

/**
 * As the tenant's endpoints are now, for a retry knows no other: one that was deleted since may let another move up. Where memory
 * cannot tell, the delivery stays in the trace.
 */
export function createIsApart(directory: Pick<Directory, "peek">): (delivery: PendingDelivery) => boolean {
  return (delivery) => {
    const { type, tenant, directoryVersion } = firstMember(delivery);
    const known = directory.peek(tenant, directoryVersion);
    if (known === null || known.endpoints.length <= ENDPOINTS_IN_TRACE_MAX) return false;
    let before = 0;
    for (const endpoint of known.endpoints) {
      if (endpoint.id === delivery.endpointId) return false;
      if (matches(endpoint, type)) before += 1;
      if (before >= ENDPOINTS_IN_TRACE_MAX) return true;
    }
    return false;
  };
}
