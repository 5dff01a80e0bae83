/** Ids as words and as text, and ids that follow from what they name: the same in each process and each release. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SpanName } from "@posthaste/shared/domain/traceparent.ts";
import {
  childSpan,
  derivedSpan,
  derivedTrace,
  formatTraceparent,
  newTrace,
  parseTraceparent,
  traceIdText,
} from "@posthaste/shared/domain/traceparent.ts";
import { seededEntropy } from "../support/ambient.ts";
import { SAMPLE_TRACEPARENT } from "../support/samples.ts";

const TRACES = [
  SAMPLE_TRACEPARENT,
  "00-00000000000000000000000000000001-0000000000000001-00",
  "00-0123456789abcdeffedcba9876543210-ffffffffffffffff-ff",
  "00-80000000000000007fffffffffffffff-8000000080000000-01",
];
const NAME: SpanName = { what: "attempt", tenant: "acme", id: "evt_1", endpointId: "ep_1", generation: 0, attempt: 1 };

function parsed(text: string) {
  const context = parseTraceparent(text);
  assert.ok(context !== null, text);
  return context;
}

test("what is read is written again, digit by digit", () => {
  for (const text of TRACES) {
    assert.equal(formatTraceparent(parsed(text)), text);
    assert.equal(traceIdText(parsed(text).trace), text.slice(3, 35));
  }
});

test("what is no traceparent is none, right after one that is", () => {
  const [valid = ""] = TRACES;
  const broken = [
    valid.toUpperCase(),
    `${valid}0`,
    valid.slice(1),
    valid.replace("00-", "01-"),
    valid.replace(/\w{16}-\w\w$/, "0000000000000000-01"),
    "",
  ];
  for (const text of broken) {
    parsed(valid);
    assert.equal(parseTraceparent(text), null, text);
  }
});

test("each traceparent is read as itself, also where many that end alike take turns", () => {
  const spanId = "00f067aa0ba902b7";
  const alike = Array.from({ length: 2000 }, (_, index) => {
    const digits = index.toString(16).padStart(4, "0");
    return [`00-${digits}${"1".repeat(28)}-${spanId}-01`, `00-${"1".repeat(32)}-${digits}${spanId.slice(4)}-00`];
  }).flat();
  for (let round = 0; round < 2; round += 1) {
    for (const text of alike) assert.equal(formatTraceparent(parsed(text)), text);
  }
});

test("a derived id follows from each part of its name, and from the trace", () => {
  const { trace } = parsed(SAMPLE_TRACEPARENT);
  const [, other = ""] = TRACES;
  const names: SpanName[] = [
    NAME,
    { ...NAME, what: "process" },
    { ...NAME, tenant: "acmf" },
    { ...NAME, tenant: "acm", id: "eevt_1" },
    { ...NAME, id: "evt_2" },
    { ...NAME, endpointId: "ep_2" },
    { ...NAME, generation: 1 },
    { ...NAME, generation: 2 ** 32 },
    { ...NAME, attempt: 2 },
  ];
  const ids = names.map((name) => formatTraceparent(derivedSpan(trace, 1, name)));
  ids.push(formatTraceparent(derivedSpan(parsed(other).trace, 1, NAME)));
  ids.push(...names.map((name) => traceIdText(derivedTrace(trace, name))), traceIdText(derivedTrace(null, NAME)));
  assert.equal(new Set(ids).size, ids.length);
  assert.equal(formatTraceparent(derivedSpan(trace, 1, { ...NAME })), ids[0]);
});

test("derived ids of a million attempts are a million", () => {
  const { trace } = parsed(SAMPLE_TRACEPARENT);
  const seen = new Set<number>();
  for (let number = 0; number < 1_000_000; number++) {
    const { high, low } = derivedSpan(trace, 1, {
      ...NAME,
      id: `evt_${number % 1000}`,
      attempt: Math.floor(number / 1000),
    });
    seen.add((high >>> 0) * 2 ** 21 + (low >>> 11));
  }
  assert.equal(seen.size, 1_000_000);
});

test("the children of a million spans are told apart, and so are those of one", () => {
  const seen = new Set<number>();
  const entropy = seededEntropy(7);
  let parent = newTrace(entropy);
  for (let number = 0; number < 1_000_000; number++) {
    if (number % 20 === 0) parent = newTrace(entropy);
    const { trace, flags, high, low } = childSpan(parent, number % 20);
    assert.ok(trace === parent.trace && flags === parent.flags);
    seen.add((high >>> 0) * 2 ** 21 + (low >>> 11));
  }
  assert.equal(seen.size, 1_000_000);
});

test("derived ids do not change from one release to the next: their spans meet while programs are updated", () => {
  const { trace } = parsed(SAMPLE_TRACEPARENT);
  assert.equal(formatTraceparent(derivedSpan(trace, 1, NAME)).slice(36), "d5890c7ba87cfc60-01");
  assert.equal(traceIdText(derivedTrace(trace, NAME)), "c4907135138b53c52a2682cb1373ff3a");
});

test("a new trace is drawn, and never all zeros", () => {
  const [one, other] = [1, 2].map((seed) => formatTraceparent(newTrace(seededEntropy(seed))));
  assert.notEqual(one, other);
  const zeros = { ...seededEntropy(1), bytes: (count: number) => new Uint8Array(count) };
  const text = formatTraceparent({ ...newTrace(zeros), flags: 0 });
  assert.equal(text, "00-00000000000000000000000000000001-0000000000000001-00");
  assert.equal(newTrace(zeros).flags, 2);
});
