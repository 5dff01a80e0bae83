/** The trace of one request to the API: its caller's, or one that begins with it. */
import type { Entropy } from "../lib/ambient.ts";
import type { SpanRef, TraceContext, TraceId } from "../domain/traceparent.ts";
import { SAMPLED, newSpan, newTrace, parseTraceparent, traceIdText } from "../domain/traceparent.ts";
import type { SpanSink } from "./spans.ts";

export interface RequestTrace {
  /** 32 hex digits, for answers and log lines. Written, or even drawn, when it is first asked for. */
  readonly traceId: string;
  /** As the caller sent it, where no spans are made: it is passed on. Null when there is none. */
  readonly given: string | null;
  /** The request's own span; null where no spans are made. */
  readonly span: TraceContext | null;
  /** Of that span; null when it is the first of its trace. */
  readonly parent: SpanRef | null;
}

/** `header` is what the caller sent as `traceparent`. Without a sink nothing is drawn before it is needed. */
export function createRequestTrace(sink: SpanSink | null, entropy: Entropy, header: string | null): RequestTrace {
  const parent = parseTraceparent(header);
  if (sink === null) return new PassedOn(entropy, header, parent);
  const { trace, high, low, flags } =
    parent === null ? newTrace(entropy) : newSpan(parent.trace, parent.flags, entropy);
  const isSampled = sink.isSampled(trace, parent === null ? null : parent.flags);
  return new Traced({ trace, high, low, flags: isSampled ? flags | SAMPLED : flags & ~SAMPLED }, parent);
}

class Traced implements RequestTrace {
  readonly given = null;
  readonly span: TraceContext;
  readonly parent: SpanRef | null;

  constructor(span: TraceContext, parent: SpanRef | null) {
    this.span = span;
    this.parent = parent;
  }

  get traceId(): string {
    return traceIdText(this.span.trace);
  }
}

class PassedOn implements RequestTrace {
  readonly given: string | null;
  readonly span = null;
  readonly parent = null;
  readonly #entropy: Entropy;
  #trace: TraceId | null;

  constructor(entropy: Entropy, header: string | null, parent: TraceContext | null) {
    this.#entropy = entropy;
    this.given = parent === null ? null : header;
    this.#trace = parent === null ? null : parent.trace;
  }

  get traceId(): string {
    return traceIdText((this.#trace ??= newTrace(this.#entropy).trace));
  }
}
