/**
 * Where the spans of an event stand: in which trace, under which id and parent, linked to what. An event's trace has its way
 * in, its fan-out, and the first attempts at its first endpoints; what goes on for longer or wider has traces of its own that
 * are linked to it, so that no trace grows without bound.
 */
import type { Envelope } from "../domain/envelope.ts";
import type { Group } from "../domain/message.ts";
import type { SpanRef, TraceContext } from "../domain/traceparent.ts";
import { SAMPLED, derivedSpanId, derivedTraceId, parseTraceparent } from "../domain/traceparent.ts";

/** Attempts of a delivery that share a trace; each later one has its own. */
export const ATTEMPTS_IN_TRACE_MAX = 10;
/** Endpoints of an event whose attempts are in its trace; those of each further one have their own. */
export const ENDPOINTS_IN_TRACE_MAX = 20;
/** Events of a batch that share the trace of its request; each further one has its own. */
export const EVENTS_IN_TRACE_MAX = 20;
/** Events that the first attempt of a group is linked to; the limit of OpenTelemetry's SDKs. */
export const LINKS_MAX = 128;

/** What of a delivery decides where its spans stand. */
export interface TracedDelivery {
  readonly tenant: string;
  readonly endpointId: string;
  readonly generation: number;
  readonly attempt: number;
  readonly members: readonly Envelope[];
  readonly group: Group | null;
}

export interface SpanPlace extends TraceContext {
  readonly parentId: string | null;
  readonly links: readonly SpanRef[];
}

/** An event of a request: it goes on in the request's trace, or, beyond the first of a batch, in one that is linked to it. */
export function sendPlace(
  request: TraceContext,
  event: { readonly tenant: string; readonly id: string; readonly index: number },
): SpanPlace {
  const { tenant, id } = event;
  const isApart = event.index >= EVENTS_IN_TRACE_MAX;
  const traceId = isApart ? derivedTraceId(request.traceId, `event\n${tenant}\n${id}`) : request.traceId;
  const spanId = derivedSpanId(traceId, `send\n${tenant}\n${id}`);
  const { flags } = request;
  return isApart
    ? { traceId, spanId, flags, parentId: null, links: [request] }
    : { traceId, spanId, flags, parentId: request.spanId, links: [] };
}

/** Null when the event has no trace. The parent is the span that the event came with. */
export function fanOutPlace(envelope: Envelope): SpanPlace | null {
  const known = placeByEvent.get(envelope);
  if (known !== undefined) return known;
  const context = parseTraceparent(envelope.traceparent);
  if (context === null) return null;
  const { traceId, flags, spanId: parentId } = context;
  const spanId = derivedSpanId(traceId, `process\n${envelope.tenant}\n${envelope.id}`);
  const place = { traceId, spanId, flags, parentId, links: NO_LINKS };
  placeByEvent.set(envelope, place);
  return place;
}

/** Each attempt of an event asks for it. */
const placeByEvent = new WeakMap<Envelope, SpanPlace>();
const NO_LINKS: readonly SpanRef[] = [];

/** The span of a replay by hand, the first of a trace of its own; null when the event has no trace. */
export function replayPlace(delivery: TracedDelivery): SpanPlace | null {
  const fanOut = fanOutOf(delivery);
  if (fanOut === null) return null;
  const traceId = derivedTraceId(fanOut.traceId, `replay\n${keyOf(delivery)}`);
  const spanId = derivedSpanId(traceId, "replay");
  return { traceId, spanId, flags: fanOut.flags, parentId: null, links: [fanOut] };
}

/** `isApart`: the endpoint is beyond the first of its event. */
export function attemptPlace(delivery: TracedDelivery, isApart: boolean): SpanPlace | null {
  const { attempt } = delivery;
  const basis = basisOf(delivery, isApart);
  if (basis === null) return null;
  const key = keyOf(delivery);
  const placed = (number: number): SpanRef => {
    const what = `attempt\n${key}\n${number}`;
    const traceId = number > ATTEMPTS_IN_TRACE_MAX ? derivedTraceId(basis.traceId, what) : basis.traceId;
    return { traceId, spanId: derivedSpanId(traceId, what) };
  };
  const own = { ...placed(attempt), flags: basis.flags };
  const before = attempt > 1 ? [placed(attempt - 1)] : [];
  if (attempt > ATTEMPTS_IN_TRACE_MAX) return { ...own, parentId: null, links: [...before, basis.parent ?? placed(1)] };
  if (basis.parent !== null) return { ...own, parentId: basis.parent.spanId, links: before };
  return attempt === 1
    ? { ...own, parentId: null, links: basis.links }
    : { ...own, parentId: placed(1).spanId, links: before };
}

/** Of what a delivery is handed over to when it is not delivered: under the attempt that failed, or where none was made. */
export function handOverPlace(
  delivery: TracedDelivery,
  { isApart, isAttempted, state }: { readonly isApart: boolean; readonly isAttempted: boolean; readonly state: string },
): SpanPlace | null {
  const attempt = attemptPlace(delivery, isApart);
  if (attempt === null) return null;
  const { traceId, flags } = attempt;
  const spanId = derivedSpanId(traceId, `${state}\n${keyOf(delivery)}\n${delivery.attempt}`);
  return { traceId, spanId, flags, parentId: isAttempted ? attempt.spanId : attempt.parentId, links: [] };
}

interface Basis {
  readonly traceId: string;
  readonly flags: number;
  /** Of the attempts in this trace; null: the first attempt begins it. */
  readonly parent: SpanRef | null;
  /** Of that first attempt. */
  readonly links: readonly SpanRef[];
}

/** The trace that the attempts of a delivery are in, and what they hang from. */
function basisOf(delivery: TracedDelivery, isApart: boolean): Basis | null {
  const { members, group, generation } = delivery;
  if (members.length > 1 && group !== null) {
    const fanOuts = members.flatMap((member) => fanOutPlace(member) ?? []);
    const recorded = fanOuts.find(({ flags }) => (flags & SAMPLED) !== 0);
    const chosen = recorded ?? fanOuts[0];
    if (chosen === undefined) return null;
    const traceId = derivedTraceId("", `group\n${keyOf(delivery)}`);
    return { traceId, flags: chosen.flags, parent: null, links: fanOuts.slice(0, LINKS_MAX) };
  }
  if (generation !== 0) {
    const replay = replayPlace(delivery);
    return replay === null ? null : { traceId: replay.traceId, flags: replay.flags, parent: replay, links: [] };
  }
  const fanOut = fanOutOf(delivery);
  if (fanOut === null) return null;
  const { traceId, flags } = fanOut;
  if (!isApart) return { traceId, flags, parent: fanOut, links: [] };
  const ownId = derivedTraceId(traceId, `delivery\n${keyOf(delivery)}`);
  return { traceId: ownId, flags, parent: null, links: [fanOut] };
}

function fanOutOf({ members }: TracedDelivery): SpanPlace | null {
  const [first] = members;
  return first === undefined ? null : fanOutPlace(first);
}

function keyOf({ tenant, endpointId, generation, members, group }: TracedDelivery): string {
  const id = group !== null && members.length > 1 ? group.id : (members[0]?.id ?? "");
  return `${tenant}\n${id}\n${endpointId}\n${generation}`;
}
