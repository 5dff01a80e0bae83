/**
 * The spans of an event, one helper for each step: the request that brought it, its way into a lane, its fan-out, each
 * attempt, and what it is handed over to when it is not delivered. Helpers never throw and never wait; without a sink, or for
 * a trace that is not sampled, they do nothing. docs/operations.md has the table of spans.
 */
import type { Meter } from "@opentelemetry/api";
import type { AttemptResult, Milestone } from "../domain/attempt.ts";
import type { Endpoint } from "../domain/endpoint.ts";
import type { Envelope } from "../domain/envelope.ts";
import type { TraceContext } from "../domain/traceparent.ts";
import type { Clock, Entropy } from "../lib/ambient.ts";
import type { RequestTrace, TraceHeaders } from "./request-trace.ts";
import type { SpanPlace, TracedDelivery } from "./span-places.ts";
import type { Span, SpanAttributes, SpanSink } from "./spans.ts";
import { laneOf } from "../domain/envelope.ts";
import { describe } from "../domain/outcome.ts";
import {
  SAMPLED,
  derivedSpan,
  formatTraceparent,
  maySaySampled,
  parseTraceparent,
  traceIdText,
} from "../domain/traceparent.ts";
import { parseTracestate } from "../domain/tracestate.ts";
import { countLosses } from "./losses.ts";
import { createRequestTrace } from "./request-trace.ts";
import {
  attemptAttributes,
  deliveryAttributes,
  fanOutAttributes,
  isFailure,
  messageAttributes,
  requestAttributes,
} from "./span-attributes.ts";
import { attemptPlace, fanOutPlace, handOverPlace, nameIn, replayPlace, sendPlace } from "./span-places.ts";
import { attemptStem, createRequestStems, processStems, replayStem, sendStems } from "./span-stems.ts";

export interface TraceTelemetry {
  /** A request came with these. */
  request(headers: TraceHeaders): RequestTrace;
  /** And was answered. */
  answered(trace: RequestTrace, request: AnsweredRequest): void;
  /** What an event of the request carries; `index` within its batch. */
  carried(
    trace: RequestTrace,
    event: { readonly tenant: string; readonly id: string; readonly index: number },
  ): TraceHeaders;
  /** An event of the request went into its lane since `startMs`, or could not. */
  sent(trace: RequestTrace, envelope: Envelope, sent: { index: number; startMs: number; failure: unknown }): void;
  /** A person asked for new attempts of an old delivery. */
  replayed(trace: RequestTrace, delivery: TracedDelivery): void;
  /** Which endpoints an event goes to is known. */
  fannedOut(fanOut: Parameters<typeof fanOutAttributes>[0]): void;
  /** An attempt is to be made. */
  ofAttempt(delivery: TracedDelivery, isApart: IsApart): AttemptTrace;
  /** It ended now. */
  attempted(delivery: TracedDelivery, trace: AttemptTrace, attempt: AttemptOfDelivery): void;
  /** A delivery was not made, and is durable elsewhere: `retry` or the dead letters. */
  handedOver(delivery: TracedDelivery, isApart: IsApart, handOver: HandOver): void;
}

export interface AnsweredRequest {
  readonly method: string;
  readonly route: string;
  readonly path: string;
  readonly status: number;
  readonly code: string | null;
  readonly durationMs: number;
}

/** Is the endpoint beyond the first of its event? Asked where spans are made, as it costs a look through them. */
export type IsApart = () => boolean;

/** With the headers of its request; null when its event has no trace. */
export interface AttemptTrace extends TraceHeaders {
  /** Of its span; null when it is not recorded. */
  readonly place: SpanPlace | null;
}

export interface AttemptOfDelivery {
  readonly endpoint: Pick<Endpoint, "id" | "tenant" | "url">;
  readonly result: AttemptResult;
  /** They become the events of its span. */
  readonly milestones: readonly Milestone[];
}

export interface HandOver {
  /** Its state from now on. */
  readonly state: string;
  readonly reason: string | null;
  readonly isAttempted: boolean;
  /** Epoch ms; null when no attempt is planned. */
  readonly nextAttemptAtMs: number | null;
}

export interface TraceDeps {
  readonly meter: Meter;
  readonly clock: Pick<Clock, "now">;
  readonly entropy: Entropy;
  /** Null: no spans are made, and a caller's trace is passed on. */
  readonly spans: SpanSink | null;
}

export function createTraceTelemetry(deps: TraceDeps): TraceTelemetry {
  const { clock, entropy, spans } = deps;
  countLosses(deps.meter, "posthaste.spans.lost", LOST_SPANS, deps.spans?.lost ?? null);
  const requestStem = createRequestStems();

  function record(place: SpanPlace | null, span: Omit<Span, keyof SpanPlace>): void {
    if (spans === null || place === null || !isSampled(place.self)) return;
    const { self, parent, links } = place;
    const { stem, startMs, endMs, attributes, error, events } = span;
    spans.record({ self, parent, links, stem, startMs, endMs, attributes, error, events });
  }
  /** False: no span of the delivery is recorded. Told without a hash. */
  function mayBeTraced({ members }: TracedDelivery): boolean {
    return spans !== null && members.some(({ traceparent }) => maySaySampled(traceparent));
  }
  /** What nobody records is not spread over several traces either. */
  function recordedAttempt(delivery: TracedDelivery, isApart: IsApart): SpanPlace | null {
    const place = mayBeTraced(delivery) ? attemptPlace(delivery, isApart()) : null;
    return place !== null && isSampled(place.self) ? place : null;
  }

  return {
    request: (headers) => createRequestTrace(spans, entropy, headers),
    answered(trace, request) {
      const { span: self, parent } = trace;
      if (self === null || !isSampled(self)) return;
      const { method, route, status, code, durationMs } = request;
      const endMs = clock.now();
      record(
        { self, parent, links: NONE },
        {
          stem: requestStem(method, route),
          startMs: endMs - durationMs,
          endMs,
          attributes: requestAttributes(request),
          error: status >= 500 ? (code ?? String(status)) : null,
          events: NONE,
        },
      );
    },
    carried({ given, state, span }, event) {
      if (span === null) return { traceparent: given, tracestate: state };
      const { self, parent } = sendPlace(span, event);
      return { traceparent: formatTraceparent(self), tracestate: parent === null ? null : state };
    },
    sent({ span }, envelope, { index, startMs, failure }) {
      if (span === null || !isSampled(span)) return;
      const { tenant, id } = envelope;
      const attributes = messageAttributes(envelope);
      const error = failure === undefined ? null : "not stored";
      record(sendPlace(span, { tenant, id, index }), {
        stem: sendStems[laneOf(envelope)],
        startMs,
        endMs: clock.now(),
        attributes: error === null ? attributes : { ...attributes, "error.type": "store-unavailable" },
        error,
        events: NONE,
      });
    },
    replayed({ span }, delivery) {
      const [envelope] = delivery.members;
      if (envelope === undefined || !mayBeTraced(delivery)) return;
      const place = replayPlace(delivery);
      if (place === null) return;
      const links = span === null ? place.links : [...place.links, span];
      const attributes = { ...messageAttributes(envelope), ...deliveryAttributes(delivery) };
      const atMs = clock.now();
      record(
        { ...place, links },
        { stem: replayStem, startMs: atMs, endMs: atMs, attributes, error: null, events: NONE },
      );
    },
    fannedOut(fanOut) {
      const { envelope, startMs } = fanOut;
      if (spans === null || !maySaySampled(envelope.traceparent)) return;
      const stem = processStems[laneOf(envelope)];
      const attributes = fanOutAttributes(fanOut);
      const endMs = clock.now();
      record(fanOutPlace(envelope), { stem, startMs, endMs, attributes, error: null, events: NONE });
    },
    ofAttempt(delivery, isApart) {
      const place = recordedAttempt(delivery, isApart);
      const self = place?.self ?? passedOn(delivery);
      if (self === null) return NO_TRACE;
      return { traceparent: formatTraceparent(self), tracestate: stateIn(self, delivery), place };
    },
    attempted(delivery, { place }, { endpoint, result, milestones }) {
      if (place === null) return;
      const endMs = clock.now();
      record(place, {
        stem: attemptStem(endpoint),
        startMs: endMs - result.durationMs,
        endMs,
        attributes: attemptAttributes(delivery, result),
        error: isFailure(result) ? describe(result) : null,
        events: milestones,
      });
    },
    handedOver(delivery, isApart, { state, reason, isAttempted, nextAttemptAtMs }) {
      if (!mayBeTraced(delivery)) return;
      const atMs = clock.now();
      const attributes: SpanAttributes = {
        ...deliveryAttributes(delivery),
        "posthaste.delivery.state": state,
        ...(reason === null ? {} : { "posthaste.reason": reason }),
        ...(nextAttemptAtMs === null
          ? {}
          : { "posthaste.next_attempt_in_ms": Math.max(0, Math.round(nextAttemptAtMs - atMs)) }),
      };
      record(handOverPlace(delivery, { isApart: isApart(), isAttempted, state }), {
        stem: sendStems[nextAttemptAtMs === null ? "dead-letter" : "retry"],
        startMs: atMs,
        endMs: atMs,
        attributes,
        error: null,
        events: NONE,
      });
    },
  };
}

function isSampled(context: Pick<TraceContext, "flags"> | null): boolean {
  return context !== null && (context.flags & SAMPLED) !== 0;
}

/** The caller's trace goes on in that of the first event, with a span id of our own (W3C Trace Context, section 3.2.2.4). */
function passedOn(delivery: TracedDelivery): TraceContext | null {
  const [first] = delivery.members;
  const context = parseTraceparent(first?.traceparent ?? null);
  if (context === null || first === undefined) return null;
  const name = { ...nameIn("attempt", delivery, delivery.attempt), id: first.id };
  return derivedSpan(context.trace, context.flags, name);
}

/** What others keep of a trace is told in that trace alone. A store may hold what nobody could have sent. */
function stateIn({ trace }: TraceContext, { members: [first] }: TracedDelivery): string | null {
  if (first === undefined || first.tracestate === null) return null;
  const context = parseTraceparent(first.traceparent);
  const isSame = context !== null && traceIdText(context.trace) === traceIdText(trace);
  return isSame ? parseTracestate(first.tracestate) : null;
}

const NONE: readonly never[] = [];
const NO_TRACE: AttemptTrace = { traceparent: null, tracestate: null, place: null };
const LOST_SPANS = { unit: "{span}", description: "Spans that no collector got" } as const;
