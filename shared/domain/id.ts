/**
 * Names of things: `<prefix>_` and 26 base32 letters in the layout of a ULID: ten for the time in milliseconds
 * (48 bits), sixteen for 80 further bits. Ids of one prefix sort by time; within one millisecond their order means nothing.
 */

import * as v from "valibot";
import type { Entropy, Hasher } from "../lib/ambient.ts";
import { assert } from "../lib/assert.ts";
import { encodeBase32, encodeBase32Number } from "./base32.ts";

/** Event, endpoint, delivery, group of events sent as one message, API key, record in quarantine. */
export type IdPrefix = "evt" | "ep" | "dlv" | "grp" | "key" | "qtn";

/** As a regular expression, of what `isId` takes. */
export function idPattern(prefix: IdPrefix): string {
  return `^${prefix}_${BODY.source.slice(1)}`;
}

/** The longest event id a publisher may choose; our own are 30 characters. */
export const EVENT_ID_LENGTH_MAX = 64;

const TIME_LETTERS = 10;
const TAIL_BYTES = 10;
/** The latest time that an id can hold, in the year 10889. */
export const ID_TIME_MS_MAX = 2 ** 48 - 1;

/** Epoch ms as stores keep it. */
export const TimeMs = v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(ID_TIME_MS_MAX));

/** Ten letters hold 50 bits, so with 48 bits of time the first is at most 7. */
const BODY = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/;
const EVENT_ID = /^[A-Za-z0-9_-]+$/;

/** A new id, unpredictable and unlike any other: 80 random bits for each millisecond. `nowMs` is a whole number below 2^48. */
export function newId(prefix: IdPrefix, nowMs: number, entropy: Entropy): string {
  return layOut(prefix, nowMs, entropy.bytes(TAIL_BYTES));
}

/**
 * The same id for the same time and content, whoever computes it and however often; a delivery made twice from one event
 * meets itself under it. The 80 bits are the first ten bytes of SHA-256 over the content as UTF-8. Not a secret.
 */
export function derivedId(prefix: IdPrefix, atMs: number, hasher: Hasher, content: string): string {
  return layOut(prefix, atMs, hasher.sha256(content).subarray(0, TAIL_BYTES));
}

/** Whether the text has the exact form that `newId` and `derivedId` give for this prefix. */
export function isId(prefix: IdPrefix, text: string): boolean {
  return text.startsWith(prefix) && text.charCodeAt(prefix.length) === 0x5f && BODY.test(text.slice(prefix.length + 1));
}

/** Whether the id, one of this prefix, was made before that time. */
export function isIdBefore(prefix: IdPrefix, id: string, atMs: number): boolean {
  const start = prefix.length + 1;
  return id.slice(start, start + TIME_LETTERS) < encodeBase32Number(Math.max(0, Math.floor(atMs)), TIME_LETTERS);
}

/**
 * Whether a publisher may use the text as an event id. No dot, for the id is a part of the signed content that dots separate
 * (Standard Webhooks 1.0.0, "Signature scheme"), and no character that a header, a path or a Redis key would read as its own.
 */
export function isEventId(text: string): boolean {
  return text.length <= EVENT_ID_LENGTH_MAX && EVENT_ID.test(text);
}

function layOut(prefix: IdPrefix, atMs: number, tail: Uint8Array): string {
  assert(Number.isInteger(atMs) && atMs >= 0 && atMs <= ID_TIME_MS_MAX, "the time of an id is whole and below 2^48 ms");
  assert(tail.length === TAIL_BYTES, "an id ends in 80 bits");
  return `${prefix}_${encodeBase32Number(atMs, TIME_LETTERS)}${encodeBase32(tail)}`;
}
