/** `/metrics` of several processes as one text, read by a parser that is none of ours. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { MetricsFormat } from "@posthaste/shared/domain/metrics-format.ts";
import { mergedExposition } from "@posthaste/shared/drivers/metrics/merged-exposition.ts";
import { openMetrics } from "@posthaste/shared/drivers/metrics/metrics.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { parseMetrics } from "../../support/parsed-metrics.ts";
import { START_MS } from "../../support/samples.ts";

const WAITS = { description: "Waits", unit: "s", advice: { explicitBucketBoundaries: [1, 4] } };

/** What a process has measured that counted so much; `own` is an instrument of it alone. */
async function measured(count: number, own: string, format: MetricsFormat): Promise<string> {
  await using metrics = openMetrics(createManualClock(START_MS), { "service.name": "posthaste" });
  metrics.meter.createCounter("posthaste.events", { description: "Events" }).add(count, { priority: 'a"b {c}' });
  metrics.meter.createHistogram("posthaste.waits", WAITS).record(count);
  metrics.meter.createCounter(own, { description: own }).add(1);
  return await metrics.collect(format);
}

for (const format of ["openmetrics", "prometheus"] as const) {
  test(`${format}: each family is there once, and each sample with its process`, async () => {
    const texts = new Map([
      [0, await measured(3, "posthaste.zero", format)],
      [1, ""],
      [2, await measured(5, "posthaste.two", format)],
    ]);
    const families = await parseMetrics(mergedExposition(texts, format), format);
    const names = families.map(({ name }) => name);
    assert.deepEqual(names, Array.from(new Set(names)));
    const valuesOf = (sample: string) =>
      families
        .flatMap(({ samples }) => samples)
        .filter(({ name }) => name === sample)
        .map(({ labels, value }) => [labels["process"], value]);
    assert.deepEqual(valuesOf("posthaste_events_total"), [
      ["0", 3],
      ["2", 5],
    ]);
    assert.deepEqual(valuesOf("posthaste_waits_seconds_count"), [
      ["0", 1],
      ["2", 1],
    ]);
    assert.deepEqual([valuesOf("posthaste_zero_total"), valuesOf("posthaste_two_total")], [[["0", 1]], [["2", 1]]]);
    const events = families.find(({ name }) => name.startsWith("posthaste_events"));
    assert.deepEqual([events?.help, events?.samples[0]?.labels["priority"]], ["Events", 'a"b {c}']);
  });
}
