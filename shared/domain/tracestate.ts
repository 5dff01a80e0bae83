/**
 * `tracestate` of W3C Trace Context (level 2, section 3.3): what the systems that a trace passes keep beside its `traceparent`.
 * It is nothing without one, and is handed on as it came.
 */
import * as v from "valibot";

const MEMBERS_MAX = 32;
/** What is longer loses members; the standard asks for at least as many. */
export const TRACESTATE_CHARS_MAX = 512;
/** Longer members are the first to go. */
const SHORT_MEMBER_CHARS_MAX = 128;
const MEMBER = /^[a-z0-9][a-z0-9_*/@-]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;

/** Null for what is none or is malformed: it is ignored, and never an error. */
export function parseTracestate(text: string | null): string | null {
  if (text === null) return null;
  const members = text
    .split(",")
    .map((member) => member.trim())
    .filter((member) => member !== "");
  if (members.length > MEMBERS_MAX || !members.every((member) => MEMBER.test(member))) return null;
  while (charsOf(members) > TRACESTATE_CHARS_MAX) {
    const longAt = members.findLastIndex(({ length }) => length > SHORT_MEMBER_CHARS_MAX);
    members.splice(longAt < 0 ? members.length - 1 : longAt, 1);
  }
  return members.length === 0 ? null : members.join(",");
}

function charsOf(members: readonly string[]): number {
  return members.reduce((sum, { length }) => sum + length + 1, -1);
}

/** As `parseTracestate` gives it. */
export const Tracestate = v.pipe(
  v.string("must be a string"),
  v.check((text) => parseTracestate(text) === text, "must be a tracestate of W3C Trace Context"),
);
