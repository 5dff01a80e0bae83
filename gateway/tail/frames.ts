/**
 * The tail's entries as server-sent events (WHATWG HTML, "Server-sent events"): `event` says what happened, `id` names it,
 * `data` is one line of JSON. Ids serve to recognise what was seen; nothing is sent again for a `Last-Event-ID`.
 */
import type { AcceptedEntry, DeliveryEntry, TailEntry } from "@posthaste/shared/ports/tail.ts";
import type { TailedDelivery, TailedEvent } from "../answers/tail.ts";
import { shownEndpointId } from "../resources/event-view.ts";
import { instantText } from "../resources/view-parts.ts";
import { outcomeOf } from "./filter.ts";

/** The first of a stream: after a break the caller comes back in so many ms. */
export const OPENING = "retry: 3000\n: watching\n\n";
/** A comment, which readers pass over: it keeps the connection in use. */
export const HEARTBEAT = ": still here\n\n";

export function entryFrame(entry: TailEntry): string {
  switch (entry.kind) {
    case "accepted":
      return frame("accepted", entry.eventId, acceptedView(entry));
    case "delivery":
      return frame(entry.result === null ? "delivery" : "attempt", deliveryName(entry), deliveryView(entry));
  }
}

/** Entries before this one were not shown; null: nobody knows how many. */
export function lostFrame(count: number | null): string {
  return frame("lost", null, { count });
}

/** The last of a stream. */
export function endFrame(code: string, detail: string, unsent: number): string {
  return frame("end", null, { code, detail, unsent });
}

function frame(event: string, id: string | null, data: object): string {
  return `event: ${event}\n${id === null ? "" : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`;
}

/** Of the attempt, or of the state. */
function deliveryName({ eventId, endpointId, generation, attempt, state, result }: DeliveryEntry): string {
  const delivery = `${eventId}/${endpointId}/${generation}/${attempt}`;
  return result === null ? `${delivery}/${state}` : delivery;
}

function acceptedView(entry: AcceptedEntry): TailedEvent {
  return {
    id: entry.eventId,
    tenant: entry.tenant,
    type: entry.eventType,
    lane: entry.lane,
    accepted_at: instantText(entry.atMs),
    deliver_at: instantText(entry.deliverAtMs),
    body_bytes: entry.bodyBytes,
  };
}

function deliveryView(entry: DeliveryEntry): TailedDelivery {
  const { result, groupId } = entry;
  const attempted =
    result === null
      ? {}
      : {
          outcome: outcomeOf(entry.state),
          status: result.status,
          fault: result.fault,
          duration_ms: Math.round(result.durationMs),
        };
  return {
    event_id: entry.eventId,
    tenant: entry.tenant,
    type: entry.eventType,
    lane: entry.lane,
    endpoint_id: shownEndpointId(entry.endpointId),
    replayed_at: entry.generation === 0 ? null : instantText(entry.generation),
    at: instantText(entry.atMs),
    attempt: entry.attempt,
    state: entry.state,
    ...attempted,
    reason: entry.reason,
    next_attempt_at: instantText(entry.nextAttemptAtMs),
    ...(groupId === null ? {} : { group_id: groupId }),
  };
}
