/**
 * W3C Trace Context, version 00, and ids that follow from what they name: each process that knows the event can name the span
 * of another one, and what is repeated after a crash has the id that it had (docs/adr/0023).
 */
import type { Entropy } from "../lib/ambient.ts";
import { TRACEPARENT } from "./event.ts";
import { encodeHex } from "./hex.ts";

/** Names a span: 32 and 16 lower-case hex digits, neither all zeros. */
export interface SpanRef {
  readonly traceId: string;
  readonly spanId: string;
}

export interface TraceContext extends SpanRef {
  /** 0 to 255. */
  readonly flags: number;
}

export const SAMPLED = 1;
const RANDOM = 2;

const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;

/** Null for what is none, is malformed or of a later version: it is ignored, and never an error. */
export function parseTraceparent(text: string | null): TraceContext | null {
  if (text === null || !TRACEPARENT.test(text)) return null;
  return { traceId: text.slice(3, 35), spanId: text.slice(36, 52), flags: parseInt(text.slice(53), 16) };
}

export function formatTraceparent({ traceId, spanId, flags }: TraceContext): string {
  return `00-${traceId}-${spanId}-${flags.toString(16).padStart(2, "0")}`;
}

/** Of a traceparent that was checked before. */
export function traceIdOf(traceparent: string | null): string | null {
  return traceparent === null ? null : traceparent.slice(3, 35);
}

/** `what` says which span of the trace. */
export function derivedSpanId(traceId: string, what: string): string {
  return nonZero(digest(`${traceId}\n${what}`, 0));
}

/** Of a trace that is linked to another one, of `traceId`. */
export function derivedTraceId(traceId: string, what: string): string {
  const text = `${traceId}\n${what}`;
  return nonZero(digest(text, 1) + digest(text, 2));
}

/**
 * 64 bits in hex: FNV-1a and a multiply-and-rotate over the text, both ended by the finalizer of MurmurHash3. No secret, and
 * nobody gains by a collision, so that a third of the time of SHA-256 is the better buy.
 */
function digest(text: string, seed: number): string {
  let first = 0x811c9dc5 ^ seed;
  let second = 0x9747b28c ^ seed;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    first = Math.imul(first ^ unit, 0x01000193);
    second = Math.imul(second ^ unit, 0x5bd1e995);
    second = (second << 13) | (second >>> 19);
  }
  first = finalized(first ^ text.length);
  second = finalized(second ^ first);
  return hex32(finalized(first + second)) + hex32(second);
}

function finalized(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

function hex32(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}

/** Begins a trace; `flags` say that its id was drawn at random (level 2, section 3.2.2.5.2) and nothing else. */
export function newTrace(entropy: Entropy): TraceContext {
  return { traceId: nonZero(encodeHex(entropy.bytes(TRACE_ID_BYTES))), spanId: newSpanId(entropy), flags: RANDOM };
}

/** Of what nobody else has to name: a request. */
export function newSpanId(entropy: Entropy): string {
  return nonZero(encodeHex(entropy.bytes(SPAN_ID_BYTES)));
}

/** All zeros name nothing. */
function nonZero(id: string): string {
  return /[^0]/.test(id) ? id : id.replace(/.$/, "1");
}
