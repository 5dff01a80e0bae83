/** How the dashboard writes times, shares and JSON, and how it makes rates of counts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { flowOf } from "@posthaste/gateway/dashboard/flow.ts";
import { indentedJson, relativeText, shareText, spanText } from "@posthaste/gateway/dashboard/words.ts";
import type { LaneMinute } from "@posthaste/shared/domain/lane-minutes.ts";
import { MINUTE_MS, TOOK_BOUNDS_MS } from "@posthaste/shared/domain/lane-minutes.ts";

test("times are short, and say whether they are over", () => {
  const words = [0, 999, 1000, 1550, 9999, 10_000, 59_999, 60_000, 3_599_999, 3_600_000, 172_800_000].map(spanText);
  assert.deepEqual(words, [
    "0 ms",
    "999 ms",
    "1 s",
    "1.6 s",
    "10 s",
    "10 s",
    "60 s",
    "1 min",
    "59 min",
    "1 h",
    "2 days",
  ]);
  assert.equal(relativeText(1000, 1500), "just now");
  assert.equal(relativeText(1000, 61_000), "1 min ago");
  assert.equal(relativeText(61_000, 1000), "in 1 min");
});

test("a share is all only when it is all", () => {
  const shares = [
    [0, 0],
    [0, 5],
    [1, 1000],
    [1, 3],
    [999_999, 1_000_000],
    [5, 5],
  ] as const;
  assert.deepEqual(
    shares.map(([part, whole]) => shareText(part, whole)),
    ["none", "0 %", "0.1 %", "33.3 %", "99.9 %", "100 %"],
  );
});

test("JSON is laid out without a change to any value, as numbers that no double holds", () => {
  assert.equal(
    indentedJson('{"a":1e400,"b":[1.50,{}],"c":"{,:}"}'),
    '{\n  "a": 1e400,\n  "b": [\n    1.50,\n    {}\n  ],\n  "c": "{,:}"\n}',
  );
  fc.assert(
    fc.property(fc.json(), (text) => {
      assert.deepEqual(JSON.parse(indentedJson(text)), JSON.parse(text));
    }),
  );
});

const MINUTE_0 = 1_700_000_040_000;
const minute = (index: number, parts: Partial<LaneMinute> = {}): LaneMinute => ({
  lane: "high",
  atMs: MINUTE_0 + index * MINUTE_MS,
  accepted: 0,
  delivered: 0,
  retried: 0,
  dead: 0,
  took: TOOK_BOUNDS_MS.map(() => 0),
  ...parts,
});
const took = (...counts: readonly number[]): readonly number[] =>
  [...TOOK_BOUNDS_MS, 0].map((_bound, index) => counts[index] ?? 0);

test("rates are of five minutes, success and times of the hour, and the minutes are all there", () => {
  const nowMs = MINUTE_0 + 59 * MINUTE_MS + 30_000;
  const read = [
    minute(-1, { accepted: 1000, delivered: 1000, took: took(1000) }),
    minute(0, { accepted: 7, delivered: 98, retried: 3, dead: 4, took: took(50, 45, 0, 3) }),
    minute(0, { lane: "low", delivered: 1, took: [...TOOK_BOUNDS_MS.map(() => 0), 1] }),
    minute(55, { accepted: 27, delivered: 54, took: took(54) }),
    minute(59, { accepted: 27 }),
  ];
  const { rateSpanMs, lanes, minutes, hour } = flowOf(read, nowMs);
  assert.equal(rateSpanMs, 270_000);
  assert.deepEqual(lanes[0], {
    lane: "high",
    acceptedPerS: 0.2,
    deliveredPerS: 0.2,
    delivered: 152,
    failed: 7,
    within: { halfMs: 5, nearlyAllMs: 10, mostMs: 50 },
  });
  const beyond = { halfMs: Infinity, nearlyAllMs: Infinity, mostMs: Infinity };
  assert.deepEqual([lanes[1]?.within, lanes[2]?.within], [null, beyond]);
  assert.deepEqual([minutes.length, minutes[0]?.atMs, minutes.at(-1)?.atMs], [60, MINUTE_0, MINUTE_0 + 59 * MINUTE_MS]);
  assert.deepEqual([minutes[0]?.failed, minutes[1]?.accepted, minutes[59]?.accepted], [7, 0, 27]);
  assert.deepEqual([hour.accepted, hour.delivered, hour.failed], [61, 153, 7]);
});
