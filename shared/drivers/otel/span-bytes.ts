/**
 * Spans of ours as `ExportTraceServiceRequest`s of OTLP (opentelemetry-proto 1.9, `trace.proto`, `common.proto`). The SDK's encoder
 * builds objects of objects first and takes three times as long (Bun 1.4.5, batches of 2,048).
 */
import type { SpanRef } from "../../domain/traceparent.ts";
import type { Span, SpanAttributes, SpanStem } from "../../telemetry/spans.ts";
import { LONG, ProtoBytes, SHORT } from "./proto-bytes.ts";

const KINDS = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 } as const satisfies Record<
  SpanStem["kind"],
  number
>;
const STATUS_ERROR = 2;
/** Sampled, and whether the parent is another process's is not known. */
const FLAGS = 1;
const STEM_BYTES = 1024;

/** Spans of one resource and scope, written one after the other into the request that they are exported in. */
export class SpansRequest {
  count = 0;
  readonly #out: ProtoBytes;
  readonly #starts: readonly number[];

  /** `scope` names who made the spans; `storage` is written to, and a larger one when it is full. */
  constructor(resource: SpanAttributes, scope: string, storage: Buffer) {
    const out = new ProtoBytes(storage);
    const all = out.open(1, LONG);
    out.message(1, LONG, () => writeAttributes(out, 1, resource));
    const ofScope = out.open(2, LONG);
    out.message(1, SHORT, () => out.text(1, scope));
    this.#out = out;
    this.#starts = [ofScope, all];
  }

  push(span: Span): void {
    writeSpan(this.#out, span);
    this.count += 1;
  }

  /** What is written to. */
  get storage(): Buffer {
    return this.#out.storage;
  }

  /** Nothing may be pushed after. */
  taken(): Uint8Array {
    for (const start of this.#starts) this.#out.close(start, LONG);
    return this.#out.taken();
  }
}

function writeSpan(out: ProtoBytes, span: Span): void {
  const { parent, startMs, error } = span;
  const start = out.open(2, SHORT);
  writeRef(out, span.self);
  if (parent !== null) out.bytes8(4, parent.high, parent.low);
  out.time(7, startMs);
  out.time(8, Math.max(startMs, span.endMs));
  out.raw(stemBytes(span.stem));
  writeAttributes(out, 9, span.attributes);
  for (const { name, sinceStartMs } of span.events) {
    const event = out.open(11, SHORT);
    out.time(1, startMs + sinceStartMs);
    out.text(2, name);
    out.close(event, SHORT);
  }
  for (const ref of span.links) {
    const link = out.open(13, SHORT);
    writeRef(out, ref);
    out.close(link, SHORT);
  }
  if (error !== null) {
    const status = out.open(15, SHORT);
    out.text(2, error);
    out.whole(3, STATUS_ERROR);
    out.close(status, SHORT);
  }
  out.close(start, SHORT);
}

/** In a span as in a link. */
function writeRef(out: ProtoBytes, { trace, high, low }: SpanRef): void {
  out.bytes16(1, trace.first, trace.second, trace.third, trace.fourth);
  out.bytes8(2, high, low);
}

/** Fields stand in any order ("Encoding"), so that those of the stem are written once for all its spans. */
function stemBytes(stem: SpanStem): Uint8Array {
  const before = bytesByStem.get(stem);
  if (before !== undefined) return before;
  const out = new ProtoBytes(Buffer.allocUnsafe(STEM_BYTES));
  out.text(5, stem.name);
  out.whole(6, KINDS[stem.kind]);
  writeAttributes(out, 9, stem.attributes);
  out.fixed32(16, FLAGS);
  const bytes = out.taken().slice();
  bytesByStem.set(stem, bytes);
  return bytes;
}

const bytesByStem = new WeakMap<SpanStem, Uint8Array>();

/** Each a `KeyValue` with its `AnyValue`; keys are ASCII. */
function writeAttributes(out: ProtoBytes, field: number, attributes: SpanAttributes): void {
  for (const key in attributes) {
    const value = attributes[key];
    if (value === undefined || out.pair(field, key, value)) continue;
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
