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
  if (text === null) return null;
  // Each step of an event asks a few times for the same one.
  if (text !== last.text) last = { text, context: TRACEPARENT.test(text) ? contextOf(text) : null };
  return last.context;
}

let last: { readonly text: string; readonly context: TraceContext | null } = { text: "", context: null };

function contextOf(text: string): TraceContext {
  return { traceId: text.slice(3, 35), spanId: text.slice(36, 52), flags: parseInt(text.slice(53), 16) };
}

export function formatTraceparent({ traceId, spanId, flags }: TraceContext): string {
  return `00-${traceId}-${spanId}-${HEX[flags & 255]}`;
}

/** Of a traceparent that was checked before. */
export function traceIdOf(traceparent: string | null): string | null {
  return traceparent === null ? null : traceparent.slice(3, 35);
}

/** `what` says which span of the trace. */
export function derivedSpanId(traceId: string, what: string): string {
  return digest(`${traceId}\n${what}`, 0);
}

/** Of a trace that is linked to another one, of `traceId`. */
export function derivedTraceId(traceId: string, what: string): string {
  const text = `${traceId}\n${what}`;
  return digest(text, 1) + digest(text, 2);
}

/**
 * 64 bits in hex, not all zeros: FNV-1a and a multiply-and-rotate over the text, both ended by the finalizer of MurmurHash3. No secret, and
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
  first = finalized(first + second);
  return hex32(first) + hex32(first === 0 && second === 0 ? 1 : second);
}

function finalized(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

function hex32(value: number): string {
  return `${HEX[value >>> 24]}${HEX[(value >>> 16) & 255]}${HEX[(value >>> 8) & 255]}${HEX[value & 255]}`;
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
