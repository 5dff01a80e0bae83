import assert from "node:assert/strict";
import { test } from "node:test";
import { openMetrics } from "@posthaste/shared/drivers/metrics.ts";
import { createTally, TALLY_ROWS_MAX } from "@posthaste/shared/telemetry/tally.ts";

const OPTIONS = { unit: "{delivery}", description: "Deliveries by state" };

test("a tally is read as a counter with its two attributes", async () => {
  await using metrics = openMetrics();
  const tally = createTally(metrics.meter, "posthaste.deliveries", OPTIONS, ["lane", "outcome"]);
  for (let index = 0; index < 3; index++) tally.add("high", "delivered");
  tally.add("high", "dead");
  tally.add("low", "delivered");
  const text = await metrics.collect();
  assert.match(text, /^# TYPE posthaste_deliveries\S* counter$/m);
  const rows = [...text.matchAll(/^posthaste_deliveries_total\{(.*?)(?:,otel.*)?\} (\d+)/gm)].map(
    ([, attributes, count]) => `${attributes} ${count}`,
  );
  assert.deepEqual(rows.toSorted(), [
    'lane="high",outcome="dead" 1',
    'lane="high",outcome="delivered" 3',
    'lane="low",outcome="delivered" 1',
  ]);
});

test("past its bound a tally counts on in one row", async () => {
  await using metrics = openMetrics();
  const tally = createTally(metrics.meter, "posthaste.deliveries", OPTIONS, ["lane", "outcome"]);
  for (let index = 0; index < TALLY_ROWS_MAX + 7; index++) tally.add("high", `state ${index}`);
  assert.match(await metrics.collect(), /^posthaste_deliveries_total\{otel_metric_overflow="true".*\} 7$/m);
});
