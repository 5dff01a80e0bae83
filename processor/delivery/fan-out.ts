/** Turns one event into deliveries: which endpoints of the tenant subscribe to its type, and which do not. Pure. */
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { FanOut } from "@posthaste/shared/ports/ledger.ts";
import { matches } from "@posthaste/shared/domain/endpoint.ts";
import { FAN_OUT_IDS_MAX } from "@posthaste/shared/ports/ledger.ts";

export interface FannedOut {
  readonly matched: readonly Endpoint[];
  readonly record: FanOut;
}

export function fanOut(envelope: Envelope, endpoints: readonly Endpoint[], nowMs: number): FannedOut {
  const matched: Endpoint[] = [];
  const filtered: string[] = [];
  for (const endpoint of endpoints) {
    if (matches(endpoint.eventTypes, envelope.type)) matched.push(endpoint);
    else filtered.push(endpoint.id);
  }
  return {
    matched,
    record: {
      tenant: envelope.tenant,
      eventId: envelope.id,
      atMs: nowMs,
      matched: matched.slice(0, FAN_OUT_IDS_MAX).map(({ id }) => id),
      matchedCount: matched.length,
      filtered: filtered.slice(0, FAN_OUT_IDS_MAX),
      filteredCount: filtered.length,
    },
  };
}
