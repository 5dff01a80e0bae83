/** What is carried of a tracestate, by W3C Trace Context level 2, section 3.3. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { TRACESTATE_CHARS_MAX, parseTracestate } from "@posthaste/shared/domain/tracestate.ts";

function members(count: number, chars = 5): string[] {
  return Array.from({ length: count }, (_, index) => `k${index}=`.padEnd(chars, "x"));
}

test("members stay as they are and in their order, without the spaces between them", () => {
  for (const text of [
    "rojo=1",
    "a=1,b=2",
    'fw529a3039@dt=FfffFE;10*/-_~!"',
    "a=b c",
    "a=1,a=2",
    members(32).join(","),
  ]) {
    assert.equal(parseTracestate(text), text);
  }
  assert.equal(parseTracestate(" b=2\t, ,a=1 ,"), "b=2,a=1");
});

test("what is none or is malformed is none", () => {
  const bad = [
    null,
    "",
    " , ",
    "a",
    "=1",
    "a=",
    "A=1",
    "a b=1",
    "a=1;b=2,c",
    "a=b=c",
    "a=\u00fc",
    "a=1\r\nx: y",
    "*a=1",
  ];
  for (const text of [...bad, `${"k".repeat(257)}=1`, `a=${"x".repeat(257)}`, members(33).join(",")]) {
    assert.equal(parseTracestate(text), null, String(text));
  }
});

test("a long one loses long members first, then the last ones", () => {
  const long = `long=${"x".repeat(200)}`;
  const short = members(5, 100);
  assert.equal(parseTracestate([long, ...short].join(",")), short.join(","));
  assert.equal(parseTracestate([...short, "z=12345"].join(","))?.length, TRACESTATE_CHARS_MAX);
  assert.equal(parseTracestate([...short, "z=123456"].join(",")), short.join(","));
  assert.equal(parseTracestate(`${"k".repeat(256)}=${"x".repeat(256)}`), null);
});
