/**
 * W3C Trace Context, version 00, and ids that follow from what they name: each process that knows the event can name the span
 * of another one, and what is repeated after a crash has the id that it had (docs/adr/0023).
 */
import type { Entropy } from "../lib/ambient.ts";
import { TRACEPARENT } from "./event.ts";

/** The 128 bits of a trace's id in four signed words, the highest first; not all zeros. As text they cost more than a span. */
export interface TraceId {
  readonly first: number;
  readonly second: number;
  readonly third: number;
  readonly fourth: number;
}

/** Names a span: its trace, and the 64 bits of its own id in two signed words, not both zero. */
export interface SpanRef {
  readonly trace: TraceId;
  readonly high: number;
  readonly low: number;
}

export interface TraceContext extends SpanRef {
  /** 0 to 255. */
  readonly flags: number;
}

export const SAMPLED = 1;
const RANDOM = 2;

const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;

/**
 * Null for what is none, is malformed or of a later version: it is ignored, and never an error. Each step of an event parses it anew:
 * what is remembered for a while outlives the young generation of the runtime's garbage collector, which took 5 us of a delivery's 96
 * (Bun 1.4.5), and to parse takes 0.2.
 */
export function parseTraceparent(text: string | null): TraceContext | null {
  return text?.length === TEXT_CHARS && TRACEPARENT.test(text) ? contextOf(text) : null;
}

/** By its length and last digit alone: true of each that `parseTraceparent` gives with the flag `SAMPLED`, and of some that are malformed. */
export function maySaySampled(text: string | null): boolean {
  return text?.length === TEXT_CHARS && (digitAt(text, TEXT_CHARS - 1) & SAMPLED) !== 0;
}

/** Version, trace, span and flags, with what is between them. */
const TEXT_CHARS = 55;

function contextOf(text: string): TraceContext {
  const trace = { first: wordIn(text, 3), second: wordIn(text, 11), third: wordIn(text, 19), fourth: wordIn(text, 27) };
  const flags = (digitAt(text, 53) << 4) | digitAt(text, 54);
  return { trace, high: wordIn(text, 36), low: wordIn(text, 44), flags };
}

function wordIn(text: string, start: number): number {
  let word = 0;
  for (let at = start; at < start + 8; at++) word = (word << 4) | digitAt(text, at);
  return word;
}

/** From a table: a branch on digits at random is mispredicted, which takes four times as long. */
function digitAt(text: string, at: number): number {
  return VALUES[text.charCodeAt(at)] ?? 0;
}

const DIGITS = new TextEncoder().encode("0123456789abcdef");
const VALUES = new Uint8Array(128);
for (const [value, unit] of DIGITS.entries()) VALUES[unit] = value;

/** Decoded in one piece: put together from texts of a few digits it takes five times as long. */
export function formatTraceparent({ trace, high, low, flags }: TraceContext): string {
  writeWord(3, trace.first);
  writeWord(11, trace.second);
  writeWord(19, trace.third);
  writeWord(27, trace.fourth);
  writeWord(36, high);
  writeWord(44, low);
  line[53] = DIGITS[(flags >>> 4) & 15] ?? 0;
  line[54] = DIGITS[flags & 15] ?? 0;
  return decoder.decode(line);
}

const decoder = new TextDecoder();
const line = new TextEncoder().encode(`00-${"0".repeat(32)}-${"0".repeat(16)}-00`);

function writeWord(start: number, word: number): void {
  for (let at = 0; at < 8; at++) line[start + at] = DIGITS[(word >>> (28 - at * 4)) & 15] ?? 0;
}

/** 32 lower-case hex digits. */
export function traceIdText({ first, second, third, fourth }: TraceId): string {
  return `${hex32(first)}${hex32(second)}${hex32(third)}${hex32(fourth)}`;
}

function hex32(word: number): string {
  return (word >>> 0).toString(16).padStart(8, "0");
}

/** Of a traceparent that was checked before. */
export function traceIdOf(traceparent: string | null): string | null {
  return traceparent === null ? null : traceparent.slice(3, 35);
}

/** Which span, or which trace: of what kind, and whose. What does not apply is empty or zero. */
export interface SpanName {
  readonly what: string;
  readonly tenant: string;
  /** Of the event or group. */
  readonly id: string;
  readonly endpointId: string;
  readonly generation: number;
  readonly attempt: number;
}

/** A span of the trace, with `flags`. */
export function derivedSpan(trace: TraceId, flags: number, name: SpanName): TraceContext {
  const { high, low } = digest(trace, name, 0);
  return { trace, high, low, flags };
}

/** Of a trace that is linked to `trace`; null: to several. */
export function derivedTrace(trace: TraceId | null, name: SpanName): TraceId {
  const [upper, lower] = [digest(trace ?? NO_TRACE, name, 1), digest(trace ?? NO_TRACE, name, 2)];
  return { first: upper.high, second: upper.low, third: lower.high, fourth: lower.low };
}

const NO_TRACE: TraceId = { first: 0, second: 0, third: 0, fourth: 0 };

const TWO_32 = 2 ** 32;

/**
 * 64 bits, not all zeros: FNV-1a and a multiply-and-rotate over words and units of text, both ended by the finalizer of MurmurHash3. No
 * secret, and nobody gains by a collision, so that a tenth of the time of SHA-256 is the better buy.
 */
function digest(trace: TraceId, name: SpanName, seed: number): { readonly high: number; readonly low: number } {
  const { what, tenant, id, endpointId, generation, attempt } = name;
  const lanes = new DigestLanes(seed);
  lanes.word(trace.first);
  lanes.word(trace.second);
  lanes.word(trace.third);
  lanes.word(trace.fourth);
  lanes.word(generation);
  lanes.word(Math.floor(generation / TWO_32));
  lanes.word(attempt);
  lanes.text(what);
  lanes.text(tenant);
  lanes.text(id);
  lanes.text(endpointId);
  const mixed = finalized(lanes.first);
  const low = finalized(lanes.second ^ mixed);
  const high = finalized(mixed + low);
  return { high, low: high === 0 && low === 0 ? 1 : low };
}

/** Loops over lists of words and texts, and a branch in each step of the inner one, take twice as long (Bun 1.4.5). */
class DigestLanes {
  first: number;
  second: number;

  constructor(seed: number) {
    this.first = 0x811c9dc5 ^ seed;
    this.second = 0x9747b28c ^ seed;
  }

  word(word: number): void {
    this.first = firstLane(this.first, word);
    this.second = secondLane(this.second, word);
  }

  /** Its length, then two units at a time. */
  text(text: string): void {
    const { length } = text;
    const evenLength = length & ~1;
    let first = firstLane(this.first, length);
    let { second } = this;
    for (let at = 0; at < evenLength; at += 2) {
      const units = text.charCodeAt(at) | (text.charCodeAt(at + 1) << 16);
      first = firstLane(first, units);
      second = secondLane(second, units);
    }
    if (evenLength < length) {
      const unit = text.charCodeAt(evenLength);
      first = firstLane(first, unit);
      second = secondLane(second, unit);
    }
    this.first = first;
    this.second = second;
  }
}

function firstLane(value: number, word: number): number {
  return Math.imul(value ^ word, 0x01000193);
}

function secondLane(value: number, word: number): number {
  const mixed = Math.imul(value ^ word, 0x5bd1e995);
  return (mixed << 13) | (mixed >>> 19);
}

function finalized(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

/** Begins a trace; `flags` say that its id was drawn at random (level 2, section 3.2.2.5.2) and nothing else. */
export function newTrace(entropy: Entropy): TraceContext {
  const bytes = entropy.bytes(TRACE_ID_BYTES);
  const [first, second, third, fourth] = [wordOf(bytes, 0), wordOf(bytes, 4), wordOf(bytes, 8), wordOf(bytes, 12)];
  // All zeros name nothing.
  const trace = { first, second, third, fourth: (first | second | third | fourth) === 0 ? 1 : fourth };
  return newSpan(trace, RANDOM, entropy);
}

/** What nobody else has to name: a request. */
export function newSpan(trace: TraceId, flags: number, entropy: Entropy): TraceContext {
  const bytes = entropy.bytes(SPAN_ID_BYTES);
  const [high, low] = [wordOf(bytes, 0), wordOf(bytes, 4)];
  return { trace, high, low: (high | low) === 0 ? 1 : low, flags };
}

/** One of those that begin with `parent`, told apart by `index`: who takes its work on is told its id, and need not find it by a name. */
export function childSpan({ trace, flags, high, low }: TraceContext, index: number): TraceContext {
  const mixed = finalized(low + Math.imul(index + 1, 0x9e3779b1));
  const lower = finalized(high ^ mixed);
  const upper = finalized(mixed + lower);
  return { trace, flags, high: upper, low: (upper | lower) === 0 ? 1 : lower };
}

function wordOf(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
}
