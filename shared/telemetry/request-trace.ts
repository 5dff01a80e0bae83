/** The trace of one request to the API: its caller's, or one that begins with it. */
import type { Entropy } from "../lib/ambient.ts";
import type { SpanRef, TraceContext, TraceId } from "../domain/traceparent.ts";
import { SAMPLED, newSpan, newTrace, parseTraceparent, traceIdText } from "../domain/traceparent.ts";
import { parseTracestate } from "../domain/tracestate.ts";
import type { SpanSink } from "./spans.ts";

/** As they came, or are to be sent: null where there is none. */
export interface TraceHeaders {
  readonly traceparent: string | null;
  readonly tracestate: string | null;
}

export interface RequestTrace {
  /** 32 hex digits, for answers and log lines. Written, or even drawn, when it is first asked for. */
  readonly traceId: string;
  /** As the caller sent it, where no spans are made: it is passed on. Null when there is none. */
  readonly given: string | null;
  /** What the caller sent beside its traceparent; null without a valid one. */
  readonly state: string | null;
  /** The request's own span; null where no spans are made. */
  readonly span: TraceContext | null;
  /** Of that span; null when it is the first of its trace. */
  readonly parent: SpanRef | null;
}

/** The caller's `traceparent` and `tracestate`. Without a sink nothing is drawn before it is needed. */
export function createRequestTrace(
  sink: SpanSink | null,
  entropy: Entropy,
  { traceparent, tracestate }: TraceHeaders,
): RequestTrace {
  const parent = parseTraceparent(traceparent);
  const state = parent === null ? null : parseTracestate(tracestate);
  if (sink === null) return new PassedOn(entropy, traceparent, parent, state);
  const { trace, high, low, flags } =
    parent === null ? newTrace(entropy) : newSpan(parent.trace, parent.flags, entropy);
  const isSampled = sink.isSampled(trace, parent === null ? null : parent.flags);
  return new Traced({ trace, high, low, flags: isSampled ? flags | SAMPLED : flags & ~SAMPLED }, parent, state);
}

class Traced implements RequestTrace {
  readonly given = null;
  readonly span: TraceContext;
  readonly parent: SpanRef | null;
  readonly state: string | null;

  constructor(span: TraceContext, parent: SpanRef | null, state: string | null) {
    this.span = span;
    this.parent = parent;
    this.state = state;
  }

  get traceId(): string {
    return traceIdText(this.span.trace);
  }
}

class PassedOn implements RequestTrace {
  readonly given: string | null;
  readonly state: string | null;
  readonly span = null;
  readonly parent = null;
  readonly #entropy: Entropy;
  #trace: TraceId | null;

  constructor(entropy: Entropy, traceparent: string | null, parent: TraceContext | null, state: string | null) {
    this.#entropy = entropy;
    this.given = parent === null ? null : traceparent;
    this.state = state;
    this.#trace = parent === null ? null : parent.trace;
  }

  get traceId(): string {
    return traceIdText((this.#trace ??= newTrace(this.#entropy).trace));
  }
}
