/**
 * Spans of ours as an `ExportTraceServiceRequest` of OTLP (opentelemetry-proto 1.9, `trace.proto`, `common.proto`). The SDK's encoder
 * builds objects of objects first and takes three times as long (Bun 1.4.5, batches of 2,048).
 */
import type { SpanRef } from "../../domain/traceparent.ts";
import type { Span, SpanAttributes, SpanEvent } from "../../telemetry/spans.ts";
import { LONG, ProtoBytes, SHORT } from "./proto-bytes.ts";

const KINDS = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 } as const satisfies Record<
  Span["kind"],
  number
>;
const STATUS_ERROR = 2;
/** Sampled, and whether the parent is another process's is not known. */
const FLAGS = 1;
const HEAD_BYTES = 4096;

/** `spans` as `writeSpan` wrote them; `scope` names who made them. */
export function spansRequest(spans: Uint8Array, resource: SpanAttributes, scope: string): Uint8Array {
  const out = new ProtoBytes(spans.length + HEAD_BYTES);
  out.message(1, LONG, () => {
    out.message(1, LONG, () => writeAttributes(out, 1, resource));
    out.message(2, LONG, () => {
      out.message(1, SHORT, () => out.text(1, scope));
      out.raw(spans);
    });
  });
  return out.taken();
}

/** As one of the spans of its scope. */
export function writeSpan(out: ProtoBytes, span: Span): void {
  const start = out.open(2, SHORT);
  out.hex(1, span.traceId);
  out.hex(2, span.spanId);
  if (span.parentId !== null) out.hex(4, span.parentId);
  out.text(5, span.name);
  out.whole(6, KINDS[span.kind]);
  out.time(7, span.startMs);
  out.time(8, Math.max(span.startMs, span.endMs));
  writeAttributes(out, 9, span.attributes);
  for (const event of span.events) writeEvent(out, event);
  for (const link of span.links) writeLink(out, link);
  if (span.error !== null) {
    const status = out.open(15, SHORT);
    out.text(2, span.error);
    out.whole(3, STATUS_ERROR);
    out.close(status, SHORT);
  }
  out.fixed32(16, FLAGS);
  out.close(start, SHORT);
}

function writeEvent(out: ProtoBytes, { name, atMs }: SpanEvent): void {
  const start = out.open(11, SHORT);
  out.time(1, atMs);
  out.text(2, name);
  out.close(start, SHORT);
}

function writeLink(out: ProtoBytes, { traceId, spanId }: SpanRef): void {
  const start = out.open(13, SHORT);
  out.hex(1, traceId);
  out.hex(2, spanId);
  out.close(start, SHORT);
}

/** Each a `KeyValue` with its `AnyValue`; keys are ASCII. */
function writeAttributes(out: ProtoBytes, field: number, attributes: SpanAttributes): void {
  for (const key in attributes) {
    const value = attributes[key];
    if (value === undefined || (typeof value === "string" && out.pair(field, key, value))) continue;
    const pair = out.open(field, SHORT);
    out.text(1, key);
    const any = out.open(2, SHORT);
    if (typeof value === "string") out.text(1, value);
    else if (typeof value === "boolean") out.whole(2, value ? 1 : 0);
    else if (Number.isSafeInteger(value) && value >= 0) out.whole(3, value);
    else out.double(4, value);
    out.close(any, SHORT);
    out.close(pair, SHORT);
  }
}
