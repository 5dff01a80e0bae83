/** The trace of one request to the API: its caller's, or one that begins with it. */
import type { Entropy } from "../lib/ambient.ts";
import type { TraceContext } from "../domain/traceparent.ts";
import { SAMPLED, newSpanId, newTrace, parseTraceparent } from "../domain/traceparent.ts";
import type { SpanSink } from "./spans.ts";

export interface RequestTrace {
  /** 32 hex digits, for answers and log lines. Drawn when it is first asked for, where neither the caller nor spans need one. */
  readonly traceId: string;
  /** As the caller sent it, where no spans are made: it is passed on. Null when there is none. */
  readonly given: string | null;
  /** The request's own span; null where no spans are made. */
  readonly span: TraceContext | null;
  /** Of that span; null when it is the first of its trace. */
  readonly parentId: string | null;
}

/** `header` is what the caller sent as `traceparent`. Without a sink nothing is drawn before it is needed. */
export function createRequestTrace(sink: SpanSink | null, entropy: Entropy, header: string | null): RequestTrace {
  const parent = parseTraceparent(header);
  if (sink === null) return new PassedOn(entropy, header, parent);
  const trace = parent ?? newTrace(entropy);
  const isSampled = sink.isSampled(trace.traceId, parent === null ? null : parent.flags);
  const flags = isSampled ? trace.flags | SAMPLED : trace.flags & ~SAMPLED;
  const span = { traceId: trace.traceId, spanId: parent === null ? trace.spanId : newSpanId(entropy), flags };
  return { traceId: trace.traceId, given: null, span, parentId: parent === null ? null : parent.spanId };
}

class PassedOn implements RequestTrace {
  readonly given: string | null;
  readonly span = null;
  readonly parentId = null;
  readonly #entropy: Entropy;
  #traceId: string | null;

  constructor(entropy: Entropy, header: string | null, parent: TraceContext | null) {
    this.#entropy = entropy;
    this.given = parent === null ? null : header;
    this.#traceId = parent === null ? null : parent.traceId;
  }

  get traceId(): string {
    return (this.#traceId ??= newTrace(this.#entropy).traceId);
  }
}
