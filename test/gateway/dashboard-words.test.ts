/** How the dashboard writes times, shares and JSON, and how it makes rates of counts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FlowLooks } from "@posthaste/gateway/dashboard/flow.ts";
import { indentedJson, relativeText, shareText, spanText } from "@posthaste/gateway/dashboard/words.ts";

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

const metrics = (accepted: number, delivered: number, dead: number): string =>
  [
    "# HELP posthaste_events_accepted_total Events made durable",
    `posthaste_events_accepted_total{priority="HIGH"} ${accepted}`,
    `posthaste_events_accepted_total{priority="HIGH",process="1"} 1`,
    `posthaste_deliveries_total{lane="high",outcome="delivered"} ${delivered}`,
    `posthaste_deliveries_total{lane="high",outcome="dead"} ${dead}`,
    `posthaste_delivery_duration_seconds_bucket{lane="high",le="0.01"} ${delivered / 2}`,
    `posthaste_delivery_duration_seconds_bucket{lane="high",le="0.25"} ${delivered}`,
    `posthaste_delivery_duration_seconds_bucket{lane="high",le="+Inf"} ${delivered}`,
    'posthaste_other_total{lane="high"} 7',
  ].join("\n");

test("the first look counts since the start, later ones compare, and looks close together are one", () => {
  const looks = new FlowLooks();
  const first = looks.look(metrics(9, 4, 0), 0);
  assert.deepEqual(
    [first.spanMs, first.lanes[0]],
    [null, { lane: "high", accepted: 10, delivered: 4, failed: 0, withinMs: { half: 10, most: 250 } }],
  );
  assert.equal(looks.look(metrics(10, 4, 0), 1000).spanMs, null);
  const later = looks.look(metrics(29, 14, 10), 20_000);
  assert.equal(later.spanMs, 20_000);
  assert.deepEqual(later.lanes[0], {
    lane: "high",
    accepted: 20,
    delivered: 10,
    failed: 10,
    withinMs: { half: 10, most: 250 },
  });
  assert.deepEqual(later.lanes[2], { lane: "low", accepted: 0, delivered: 0, failed: 0, withinMs: null });
  // What is older than ten minutes is compared with no more.
  assert.equal(looks.look(metrics(29, 14, 10), 610_000).spanMs, 590_000);
});
