/**
 * Where the spans of an event stand: in which trace, under which id and parent, linked to what. An event's trace has its way
 * in, its fan-out, and the first attempts at its first endpoints; what goes on for longer or wider has traces of its own that
 * are linked to it, so that no trace grows without bound.
 */
import type { Envelope } from "../domain/envelope.ts";
import type { Group } from "../domain/message.ts";
import type { SpanName, SpanRef, TraceContext, TraceId } from "../domain/traceparent.ts";
import { SAMPLED, childSpan, derivedSpan, derivedTrace, parseTraceparent } from "../domain/traceparent.ts";

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

export interface SpanPlace {
  readonly self: TraceContext;
  readonly parent: SpanRef | null;
  readonly links: readonly SpanRef[];
}

const NO_LINKS: readonly SpanRef[] = [];

/** An event of a request: it goes on in the request's trace, or, beyond the first of a batch, in one that is linked to it. */
export function sendPlace(
  request: TraceContext,
  event: { readonly tenant: string; readonly id: string; readonly index: number },
): SpanPlace {
  if (event.index < EVENTS_IN_TRACE_MAX) {
    return { self: childSpan(request, event.index), parent: request, links: NO_LINKS };
  }
  const trace = derivedTrace(request.trace, nameOf("event", event));
  return { self: derivedSpan(trace, request.flags, nameOf("send", event)), parent: null, links: [request] };
}

/** Null when the event has no trace. The parent is the span that the event came with. */
export function fanOutPlace(envelope: Envelope): SpanPlace | null {
  const context = parseTraceparent(envelope.traceparent);
  if (context === null) return null;
  const self = derivedSpan(context.trace, context.flags, nameOf("process", envelope));
  return { self, parent: context, links: NO_LINKS };
}

/** The span of a replay by hand, the first of a trace of its own; null when the event has no trace. */
export function replayPlace(delivery: TracedDelivery): SpanPlace | null {
  const fanOut = fanOutOf(delivery);
  if (fanOut === null) return null;
  const name = nameIn("replay", delivery, 0);
  const self = derivedSpan(derivedTrace(fanOut.self.trace, name), fanOut.self.flags, name);
  return { self, parent: null, links: [fanOut.self] };
}

/** `isApart`: the endpoint is beyond the first of its event. */
export function attemptPlace(delivery: TracedDelivery, isApart: boolean): SpanPlace | null {
  const { attempt } = delivery;
  const basis = basisOf(delivery, isApart);
  if (basis === null) return null;
  const self = attemptSpan(delivery, basis, attempt);
  if (attempt === 1) return { self, parent: basis.parent, links: basis.parent === null ? basis.links : NO_LINKS };
  const before = attemptSpan(delivery, basis, attempt - 1);
  const head = basis.parent ?? attemptSpan(delivery, basis, 1);
  return attempt > ATTEMPTS_IN_TRACE_MAX
    ? { self, parent: null, links: [before, head] }
    : { self, parent: head, links: [before] };
}

function attemptSpan(delivery: TracedDelivery, { trace, flags }: Basis, number: number): TraceContext {
  const name = nameIn("attempt", delivery, number);
  return derivedSpan(number > ATTEMPTS_IN_TRACE_MAX ? derivedTrace(trace, name) : trace, flags, name);
}

/** Of what a delivery is handed over to when it is not delivered: under the attempt that failed, or where none was made. */
export function handOverPlace(
  delivery: TracedDelivery,
  { isApart, isAttempted, state }: { readonly isApart: boolean; readonly isAttempted: boolean; readonly state: string },
): SpanPlace | null {
  const attempt = attemptPlace(delivery, isApart);
  if (attempt === null) return null;
  const { trace, flags } = attempt.self;
  const self = derivedSpan(trace, flags, nameIn(state, delivery, delivery.attempt));
  return { self, parent: isAttempted ? attempt.self : attempt.parent, links: NO_LINKS };
}

interface Basis {
  readonly trace: TraceId;
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
    const fanOuts = members.flatMap((member) => fanOutPlace(member)?.self ?? []);
    const recorded = fanOuts.find(({ flags }) => (flags & SAMPLED) !== 0);
    const chosen = recorded ?? fanOuts[0];
    if (chosen === undefined) return null;
    const trace = derivedTrace(null, nameIn("group", delivery, 0));
    return { trace, flags: chosen.flags, parent: null, links: fanOuts.slice(0, LINKS_MAX) };
  }
  const hook = generation === 0 ? fanOutOf(delivery) : replayPlace(delivery);
  if (hook === null) return null;
  const { trace, flags } = hook.self;
  if (generation !== 0 || !isApart) return { trace, flags, parent: hook.self, links: NO_LINKS };
  return { trace: derivedTrace(trace, nameIn("delivery", delivery, 0)), flags, parent: null, links: [hook.self] };
}

function fanOutOf({ members }: TracedDelivery): SpanPlace | null {
  const [first] = members;
  return first === undefined ? null : fanOutPlace(first);
}

/** Of an event as a whole. */
function nameOf(what: string, { tenant, id }: { readonly tenant: string; readonly id: string }): SpanName {
  return { what, tenant, id, endpointId: "", generation: 0, attempt: 0 };
}

/** Of a delivery; `attempt` 0: of all its attempts. */
export function nameIn(what: string, delivery: TracedDelivery, attempt: number): SpanName {
  const { tenant, endpointId, generation, members, group } = delivery;
  const id = group !== null && members.length > 1 ? group.id : (members[0]?.id ?? "");
  return { what, tenant, id, endpointId, generation, attempt };
}
