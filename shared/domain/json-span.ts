/**
 * Finds where members and elements stand in a JSON text, so that `data` travels as the very text that was published:
 * parsing and writing again would turn 1e400 into null, round 2^53+1, drop the zero of 1.0, and lose repeated keys.
 * One pass over the text. Strings are left by `indexOf`, which runs at memory speed on long content; what stands between
 * them is read one code unit at a time.
 */

import { assert } from "../lib/assert.ts";

/** Objects and arrays that may stand inside one another in what a publisher sends; `[]` alone has depth 1. */
export const JSON_DEPTH_MAX = 64;

/** A stretch of text, in UTF-16 code units as `slice` takes them; `end` is the first unit behind it. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface ObjectSpans {
  /** Where each member's value stands, without the white space around it. Of a repeated key the last counts, as in JSON.parse. */
  readonly members: Map<string, Span>;
  /** The first key that occurs again, or null. */
  readonly duplicate: string | null;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const SPACE = 0x20;

/** A string is looked through this far by hand before each `indexOf`, whose call costs more than a short way is worth. */
const SHORT_STRING = 16;

/**
 * Whether nesting stays within `max`. It takes any text and never throws, so it can stand before JSON.parse and keep
 * that from recursing; on a text that is not JSON the answer holds for the part up to its first error.
 */
export function scanDepth(text: string, max: number): boolean {
  const length = text.length;
  let depth = 0;
  for (let at = 0; at < length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = stringEnd(text, at);
      if (end === -1) return true;
      at = end - 1;
    } else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      depth++;
      if (depth > max) return false;
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      if (depth > 0) depth--;
    }
  }
  return true;
}

/**
 * Whether each object and list has at most `max[0]` members or items when it stands outermost, `max[1]` one deeper, and so
 * on; what lies deeper is not counted. As `scanDepth` it takes any text and never throws, and may stand before JSON.parse.
 */
export function scanSizes(text: string, max: readonly number[]): boolean {
  const counts = max.map(() => 0);
  let depth = -1;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = stringEnd(text, at);
      if (end === -1) return true;
      at = end - 1;
    } else if (code === COMMA) {
      const limit = max[depth];
      if (limit === undefined) continue;
      const count = (counts[depth] ?? 0) + 1;
      // A comma stands between two.
      if (count >= limit) return false;
      counts[depth] = count;
    } else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      depth++;
      if (depth < counts.length) counts[depth] = 0;
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      if (depth >= 0) depth--;
    }
  }
  return true;
}

/** The members of the object that begins at `from` or after white space there. Only for text that JSON.parse accepts. */
export function objectSpans(text: string, from: number): ObjectSpans {
  const members = new Map<string, Span>();
  let duplicate: string | null = null;
  let at = skipSpace(text, from);
  assert(text.charCodeAt(at) === OPEN_BRACE, "an object stands where its members are sought");
  at = skipSpace(text, at + 1);
  while (text.charCodeAt(at) !== CLOSE_BRACE) {
    assert(text.charCodeAt(at) === QUOTE, "a member begins with its key");
    const keyEnd = closedStringEnd(text, at);
    const key = decodeKey(text, at, keyEnd);
    at = skipSpace(text, keyEnd);
    assert(text.charCodeAt(at) === COLON, "a colon follows the key");
    const start = skipSpace(text, at + 1);
    const end = valueEnd(text, start);
    if (duplicate === null && members.has(key)) duplicate = key;
    members.set(key, { start, end });
    at = nextItem(text, end, CLOSE_BRACE);
  }
  return { members, duplicate };
}

/** The elements of the array that begins at `from` or after white space there. Only for text that JSON.parse accepts. */
export function elementSpans(text: string, from: number): Span[] {
  const elements: Span[] = [];
  let at = skipSpace(text, from);
  assert(text.charCodeAt(at) === OPEN_BRACKET, "an array stands where its elements are sought");
  at = skipSpace(text, at + 1);
  while (text.charCodeAt(at) !== CLOSE_BRACKET) {
    const end = valueEnd(text, at);
    elements.push({ start: at, end });
    at = nextItem(text, end, CLOSE_BRACKET);
  }
  return elements;
}

/**
 * The path of the first member that is given more than once, at any depth; null when there is none. Each level reads its
 * part of the text again, so it is for short texts. Only for text that JSON.parse accepts.
 */
export function repeatedMember(text: string, from = 0): readonly (string | number)[] | null {
  const start = skipSpace(text, from);
  const code = text.charCodeAt(start);
  if (code === OPEN_BRACE) {
    const { members, duplicate } = objectSpans(text, start);
    if (duplicate !== null) return [duplicate];
    for (const [name, span] of members) {
      const deeper = repeatedMember(text, span.start);
      if (deeper !== null) return [name, ...deeper];
    }
  } else if (code === OPEN_BRACKET) {
    for (const [index, span] of elementSpans(text, start).entries()) {
      const deeper = repeatedMember(text, span.start);
      if (deeper !== null) return [index, ...deeper];
    }
  }
  return null;
}

/** From behind one item to the next, or to the closing character. */
function nextItem(text: string, from: number, close: number): number {
  const at = skipSpace(text, from);
  if (text.charCodeAt(at) === close) return at;
  assert(text.charCodeAt(at) === COMMA, "a comma parts two items");
  return skipSpace(text, at + 1);
}

function decodeKey(text: string, start: number, end: number): string {
  const raw = text.slice(start + 1, end - 1);
  if (!raw.includes("\\")) return raw;
  const key: unknown = JSON.parse(text.slice(start, end));
  assert(typeof key === "string", "a key is a string");
  return key;
}

function valueEnd(text: string, start: number): number {
  const code = text.charCodeAt(start);
  if (code === QUOTE) return closedStringEnd(text, start);
  if (code === OPEN_BRACE || code === OPEN_BRACKET) return nestedEnd(text, start);
  let at = start;
  while (at < text.length && !isScalarEnd(text.charCodeAt(at))) at++;
  assert(at > start, "a value stands where one is due");
  return at;
}

/** The end of an object or array. Opening and closing characters balance in text that JSON.parse accepts. */
function nestedEnd(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = closedStringEnd(text, at) - 1;
    } else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      depth++;
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      depth--;
      if (depth === 0) return at + 1;
    }
  }
  assert(false, "each bracket is closed");
}

function closedStringEnd(text: string, start: number): number {
  const end = stringEnd(text, start);
  assert(end !== -1, "each string is closed");
  return end;
}

/** The place behind the closing quote of the string that opens at `start`, or -1 when it is never closed. */
export function stringEnd(text: string, start: number): number {
  let at = start + 1;
  for (;;) {
    const nearEnd = Math.min(text.length, at + SHORT_STRING);
    while (at < nearEnd) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) return at + 1;
      at += code === BACKSLASH ? 2 : 1;
    }
    const quote = text.indexOf('"', at);
    if (quote === -1) return -1;
    // An even run of backslashes is escaped backslashes only; an odd one escapes the quote.
    let before = quote;
    while (before > at && text.charCodeAt(before - 1) === BACKSLASH) before--;
    at = quote + 1;
    if ((quote - before) % 2 === 0) return at;
  }
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (isSpace(text.charCodeAt(at))) at++;
  return at;
}

/** RFC 8259 section 2: space, tab, line feed, carriage return. */
function isSpace(code: number): boolean {
  return code === SPACE || code === 0x0a || code === 0x0d || code === 0x09;
}

function isScalarEnd(code: number): boolean {
  return code === COMMA || code === CLOSE_BRACE || code === CLOSE_BRACKET || isSpace(code);
}
