/**
 * A batch of spans of ours as an `ExportTraceServiceRequest` of OTLP (opentelemetry-proto 1.9, `trace.proto`, `common.proto`).
 * The SDK's encoder builds objects of objects first and takes three times as long (Bun 1.4.5, batches of 2,048).
 * Lengths are written with room for their largest value, which protobuf allows: nothing is measured before it is written.
 */
import type { SpanRef } from "../../domain/traceparent.ts";
import type { Span, SpanAttributes, SpanEvent } from "../../telemetry/spans.ts";

const KINDS = { server: 2, client: 3, producer: 4, consumer: 5 } as const satisfies Record<Span["kind"], number>;
const STATUS_ERROR = 2;
/** Sampled, and whether the parent is another process's is not known. */
const FLAGS = 1;

const [VARINT, FIXED64, LENGTH, FIXED32] = [0, 1, 2, 5] as const;
/** Bytes of a length: up to 2 MiB for what is in a span, up to 2 GiB around all. */
const SHORT = 3;
const LONG = 5;
const TWO_32 = 2 ** 32;
/** A string of attributes past it is cut. */
const TEXT_MAX = 4096;
/** A longer text is written by the runtime. */
const LOOPED_MAX = 80;

/** `scope` names who made them. */
export function encodeSpans(spans: readonly Span[], resource: SpanAttributes, scope: string): Uint8Array {
  const out = new Bytes(spans.length * 640 + 1024);
  out.message(1, LONG, () => {
    out.message(1, LONG, () => out.attributes(1, resource));
    out.message(2, LONG, () => {
      out.message(1, SHORT, () => out.text(1, scope));
      for (const span of spans) writeSpan(out, span);
    });
  });
  return out.taken();
}

function writeSpan(out: Bytes, span: Span): void {
  const start = out.open(2, SHORT);
  out.hex(1, span.traceId);
  out.hex(2, span.spanId);
  if (span.parentId !== null) out.hex(4, span.parentId);
  out.text(5, span.name);
  out.whole(6, KINDS[span.kind]);
  out.time(7, span.startMs);
  out.time(8, Math.max(span.startMs, span.endMs));
  out.attributes(9, span.attributes);
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

function writeEvent(out: Bytes, { name, atMs }: SpanEvent): void {
  const start = out.open(11, SHORT);
  out.time(1, atMs);
  out.text(2, name);
  out.close(start, SHORT);
}

function writeLink(out: Bytes, { traceId, spanId }: SpanRef): void {
  const start = out.open(13, SHORT);
  out.hex(1, traceId);
  out.hex(2, spanId);
  out.close(start, SHORT);
}

/** Of lower-case hex. */
function digitOf(unit: number): number {
  return unit < 0x61 ? unit - 0x30 : unit - 0x57;
}

class Bytes {
  #buffer: Buffer;
  #at = 0;

  constructor(size: number) {
    this.#buffer = Buffer.allocUnsafe(size);
  }

  taken(): Uint8Array {
    return this.#buffer.subarray(0, this.#at);
  }

  message(field: number, width: number, write: () => void): void {
    const start = this.open(field, width);
    write();
    this.close(start, width);
  }

  /** Where its content begins. */
  open(field: number, width: number): number {
    this.#room(16);
    this.#tag(field, LENGTH);
    this.#at += width;
    return this.#at;
  }

  close(start: number, width: number): void {
    let length = this.#at - start;
    for (let byte = width; byte > 0; byte--) {
      this.#buffer[start - byte] = byte > 1 ? (length & 127) | 128 : length;
      length >>>= 7;
    }
  }

  /** ASCII of the code's own, or whatever a store or a receiver had. */
  text(field: number, value: string): void {
    const text = value.length > TEXT_MAX ? value.slice(0, TEXT_MAX) : value;
    const start = this.open(field, SHORT);
    this.#room(text.length * 3);
    // A call into the runtime costs more than a short text does here.
    if (text.length > LOOPED_MAX || !this.#ascii(text)) this.#at = start + this.#buffer.write(text, start, "utf8");
    this.close(start, SHORT);
  }

  hex(field: number, digits: string): void {
    this.#room(32);
    this.#tag(field, LENGTH);
    this.#buffer[this.#at++] = digits.length / 2;
    for (let at = 0; at < digits.length; at += 2) {
      this.#buffer[this.#at++] = (digitOf(digits.charCodeAt(at)) << 4) | digitOf(digits.charCodeAt(at + 1));
    }
  }

  /** False when there is more in it, and then what was written does not count. */
  #ascii(text: string): boolean {
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      if (unit > 127) return false;
      this.#buffer[this.#at++] = unit;
    }
    return true;
  }

  /** Of at most 2^53, not negative. */
  whole(field: number, value: number): void {
    this.#room(16);
    this.#tag(field, VARINT);
    let left = value;
    while (left >= 128) {
      this.#buffer[this.#at++] = (left % 128) | 128;
      left = Math.floor(left / 128);
    }
    this.#buffer[this.#at++] = left;
  }

  fixed32(field: number, value: number): void {
    this.#room(16);
    this.#tag(field, FIXED32);
    this.#at = this.#buffer.writeUInt32LE(value, this.#at);
  }

  /** Epoch ms as nanoseconds, exact to a quarter of a microsecond. */
  time(field: number, ms: number): void {
    this.#room(16);
    this.#tag(field, FIXED64);
    const nanos = Math.round(ms * 1e6);
    const high = Math.floor(nanos / TWO_32);
    this.#at = this.#buffer.writeUInt32LE(nanos - high * TWO_32, this.#at);
    this.#at = this.#buffer.writeUInt32LE(high, this.#at);
  }

  /** Each a `KeyValue` with its `AnyValue`. */
  attributes(field: number, attributes: SpanAttributes): void {
    for (const key in attributes) {
      const value = attributes[key];
      if (value === undefined) continue;
      const pair = this.open(field, SHORT);
      this.text(1, key);
      const any = this.open(2, SHORT);
      if (typeof value === "string") this.text(1, value);
      else if (typeof value === "boolean") this.whole(2, value ? 1 : 0);
      else if (Number.isSafeInteger(value) && value >= 0) this.whole(3, value);
      else this.#double(4, value);
      this.close(any, SHORT);
      this.close(pair, SHORT);
    }
  }

  #double(field: number, value: number): void {
    this.#room(16);
    this.#tag(field, FIXED64);
    this.#at = this.#buffer.writeDoubleLE(value, this.#at);
  }

  #tag(field: number, kind: number): void {
    const tag = field * 8 + kind;
    if (tag > 127) this.#buffer[this.#at++] = (tag & 127) | 128;
    this.#buffer[this.#at++] = tag > 127 ? tag >>> 7 : tag;
  }

  #room(bytes: number): void {
    if (this.#at + bytes + 32 <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe((this.#buffer.length + bytes) * 2);
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}
