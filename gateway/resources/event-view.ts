/** Events as the API shows them. */
import type {
  AttemptView as ShownAttempt,
  EventFacts,
  EventStatus as EventStatusView,
  TimesView,
  WaitingView,
} from "../answers/events.ts";
import { UNKNOWN_ENDPOINT } from "@posthaste/shared/domain/delivery.ts";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import { storeFault } from "@posthaste/shared/domain/errors.ts";
import { laneOf } from "@posthaste/shared/domain/envelope.ts";
import type { AttemptView } from "@posthaste/shared/ports/ledger.ts";
import { unreachable } from "@posthaste/shared/lib/assert.ts";
import type { EventStatus, ShownDelivery } from "./event-status.ts";
import type { Waiting } from "./waiting.ts";
import { instantText } from "./view-parts.ts";
import { traceIdOf } from "@posthaste/shared/domain/traceparent.ts";

const decoder = new TextDecoder();

export function eventView(envelope: Envelope): EventFacts {
  return {
    id: envelope.id,
    tenant: envelope.tenant,
    type: envelope.type,
    priority: envelope.priority,
    lane: laneOf(envelope),
    timestamp: timestampOf(envelope),
    accepted_at: instantText(envelope.acceptedAtMs),
    deliver_at: instantText(envelope.deliverAtMs),
    trace_id: traceIdOf(envelope.traceparent),
    body_bytes: envelope.body.length,
  };
}

export function eventStatusView(
  envelope: Envelope,
  status: EventStatus,
  shown: { readonly endpoints: ReadonlyMap<string, Endpoint>; readonly hasFiltered: boolean },
): EventStatusView {
  const listed = status.deliveries.filter(({ state }) => shown.hasFiltered || state !== "filtered");
  const deliveries = listed.map((delivery) => ({
    id: delivery.id,
    endpoint_id: shownEndpointId(delivery.endpointId),
    url: shown.endpoints.get(delivery.endpointId)?.url ?? null,
    state: delivery.state,
    reason: delivery.reason,
    replayed_at: delivery.generation === 0 ? null : instantText(delivery.generation),
    attempt_count: delivery.attemptCount,
    next_attempt_at: instantText(delivery.nextAttemptAtMs),
    waiting: waitingView(delivery.waiting),
    times: timesView(delivery),
    attempts: delivery.attempts.map(attemptView),
  }));
  const { state, reason, filteredCount } = status;
  const waiting = waitingView(status.waiting);
  return { ...eventView(envelope), state, reason, waiting, filtered_count: filteredCount, deliveries };
}

export function waitingView(waiting: Waiting | null): WaitingView | null {
  return waiting && { for: waiting.for, since: instantText(waiting.sinceMs), until: instantText(waiting.untilMs) };
}

/** Up to its last news. */
function timesView({ times, attempts }: ShownDelivery): TimesView | null {
  if (times === null) return null;
  return {
    lane_ms: Math.round(times.laneMs),
    limiter_ms: Math.round(times.limiterMs),
    deferred_ms: Math.round(times.deferredMs),
    retry_ms: Math.round(times.retryMs),
    attempts_ms: Math.round(attempts.reduce((sum, { result }) => sum + result.durationMs, 0)),
  };
}

/** Null for an event that was never fanned out. */
export function shownEndpointId(endpointId: string): string | null {
  return endpointId === UNKNOWN_ENDPOINT ? null : endpointId;
}

export function attemptView(view: AttemptView): ShownAttempt {
  const facts = {
    attempt: view.attempt,
    at: instantText(view.atMs),
    outcome: view.outcome,
    duration_ms: Math.round(view.result.durationMs),
  };
  const group = view.groupId === null ? {} : { group_id: view.groupId };
  const { result } = view;
  switch (result.kind) {
    case "answered":
      return {
        ...facts,
        status: result.status,
        fault: null,
        detail: view.reason,
        response: { excerpt: result.bodyExcerpt, is_cut: result.isBodyCut },
        ...group,
      };
    case "fault":
      return { ...facts, status: null, fault: result.fault, detail: result.detail, response: null, ...group };
    default:
      return unreachable(result);
  }
}

/**
 * `data` as it was published: the body is `{"type","timestamp","data"}` with the data last (`domain/envelope.ts`). It goes into
 * an answer as it stands, so one that is no JSON, as after damage to the body or the type, throws.
 */
export function dataTextOf(envelope: Envelope): string {
  const head = headOf(envelope);
  const text = decoder.decode(envelope.body.subarray(head.length + '","data":'.length, -1));
  if (isJson(text)) return text;
  throw storeFault(`The body of the event ${envelope.id} in the store does not read back.`, { isDamage: true });
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** A body that does not read back tells no time: then that of acceptance stands for it, as where the publisher named none. */
function timestampOf(envelope: Envelope): string {
  const text = headOf(envelope).slice(timestampStart(envelope));
  return TIMESTAMP.test(text) ? text : instantText(envelope.acceptedAtMs);
}

/** As `envelopeBody` writes it. */
const TIMESTAMP = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

/** The body up to the end of the timestamp's text, all of it ASCII. */
function headOf(envelope: Envelope): string {
  const start = timestampStart(envelope);
  const end = envelope.body.indexOf(0x22, start);
  return decoder.decode(envelope.body.subarray(0, end));
}

function timestampStart({ type }: Envelope): number {
  return '{"type":"'.length + type.length + '","timestamp":"'.length;
}
