/** A span as a backend shows it: its stem and its own attributes in one, ids as text, events by the clock. */
import type { SpanRef } from "@posthaste/shared/domain/traceparent.ts";
import { formatTraceparent } from "@posthaste/shared/domain/traceparent.ts";
import type { Span } from "@posthaste/shared/telemetry/spans.ts";

export type SeenSpan = ReturnType<typeof seenSpan>;

export function seenSpan(span: Span) {
  const { stem, parent, startMs, endMs, error } = span;
  for (const name in span.attributes) if (name in stem.attributes) throw new Error(`${name} is said twice`);
  return {
    ...seenRef(span.self),
    parentId: parent === null ? null : seenRef(parent).spanId,
    name: stem.name,
    kind: stem.kind,
    startMs,
    endMs,
    attributes: { ...stem.attributes, ...span.attributes },
    error,
    links: span.links.map(seenRef),
    events: span.events.map(({ name, sinceStartMs }) => ({ name, atMs: startMs + sinceStartMs })),
  };
}

export function seenRef({ trace, high, low }: SpanRef) {
  const [, traceId, spanId] = formatTraceparent({ trace, high, low, flags: 0 }).split("-");
  if (traceId === undefined || spanId === undefined) throw new Error("no traceparent");
  return { traceId, spanId };
}
