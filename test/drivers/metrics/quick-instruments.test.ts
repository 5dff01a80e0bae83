/** Counters and histograms of our own read as those of the SDK do, whatever was measured. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Meter } from "@opentelemetry/api";
import { MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";
import { exposition } from "@posthaste/shared/drivers/metrics/exposition.ts";
import { openMetrics } from "@posthaste/shared/drivers/metrics/metrics.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { ROWS_MAX } from "@posthaste/shared/drivers/metrics/quick-instruments.ts";

class PullReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

/** What the SDK makes of the same measurements. */
async function textOfSdk(measure: (meter: Meter) => void): Promise<string> {
  const reader = new PullReader();
  const provider = new MeterProvider({ readers: [reader] });
  measure(provider.getMeter("posthaste"));
  const { resourceMetrics } = await reader.collect();
  return exposition(resourceMetrics, "prometheus");
}

async function textOfOurs(measure: (meter: Meter) => void): Promise<string> {
  await using metrics = openMetrics(systemClock, {});
  measure(metrics.meter);
  return await metrics.collect("prometheus");
}

const BOUNDS = [0.001, 0.5, 1];
const ADVICE = { explicitBucketBoundaries: BOUNDS };

test("/metrics reads as with the instruments of the SDK", async () => {
  const measure = (meter: Meter): void => {
    const made = meter.createCounter("posthaste.made", { unit: "{thing}", description: "Things made" });
    const plain = meter.createCounter("posthaste.plain");
    meter.createCounter("posthaste.never", { unit: "{thing}", description: "Nothing of it" });
    const took = meter.createHistogram("posthaste.took", { unit: "s", description: "Time it took", advice: ADVICE });
    meter.createHistogram("posthaste.never.took", { unit: "s", description: "Nothing of it", advice: ADVICE });
    const held = meter.createObservableGauge("posthaste.held", { unit: "{thing}", description: "Things held" });
    held.addCallback((result) => result.observe(3, { kind: "a" }));
    for (const kind of ["a", "b", 'odd "\\\n', "a"]) made.add(2, { kind, size: 7 });
    made.add(1);
    made.add(0, { kind: "none", size: 0 });
    plain.add(1.5);
    for (const value of [0, 0.001, 0.0011, 0.5, 0.7, 1, 1.0001, 4000]) took.record(value, { lane: "high", ok: true });
    took.record(0.2, { lane: "low", ok: false });
  };
  const lines = (text: string) =>
    text.split("\n").filter((line) => !line.startsWith('posthaste_made_total{kind="none"'));
  assert.deepEqual(lines(await textOfOurs(measure)).toSorted(), lines(await textOfSdk(measure)).toSorted());
});

test("what was measured before a collection is there in the next one, too", async () => {
  await using metrics = openMetrics(systemClock, {});
  const made = metrics.meter.createCounter("posthaste.made");
  made.add(1, { kind: "a" });
  assert.match(await metrics.collect("prometheus"), /^posthaste_made_total\{kind="a".*\} 1$/m);
  made.add(1, { kind: "a" });
  assert.match(await metrics.collect("prometheus"), /^posthaste_made_total\{kind="a".*\} 2$/m);
});

test("a value that is no amount changes nothing", async () => {
  await using metrics = openMetrics(systemClock, {});
  const made = metrics.meter.createCounter("posthaste.made");
  const took = metrics.meter.createHistogram("posthaste.took", { advice: ADVICE });
  for (const value of [-1, NaN]) {
    made.add(value);
    took.record(value);
  }
  made.add(1);
  took.record(0.1);
  const text = await metrics.collect("prometheus");
  assert.match(text, /^posthaste_made_total(?:\{.*\})? 1$/m);
  assert.match(text, /^posthaste_took_count(?:\{.*\})? 1$/m);
});

test("past its bound of rows an instrument measures on in one row", async () => {
  await using metrics = openMetrics(systemClock, {});
  const made = metrics.meter.createCounter("posthaste.made");
  for (let index = 0; index < ROWS_MAX + 7; index++) made.add(1, { kind: `kind ${index}` });
  assert.match(await metrics.collect("prometheus"), /^posthaste_made_total\{otel_metric_overflow="true".*\} 7$/m);
});

test("a gauge shows what was observed now, and no row of an earlier collection; one that fails costs itself", async () => {
  await using metrics = openMetrics(systemClock, { "service.name": "test" });
  const age = metrics.meter.createObservableGauge("posthaste.age");
  const depth = metrics.meter.createObservableGauge("posthaste.depth");
  let kinds = ["a", "b"];
  metrics.meter.addBatchObservableCallback(
    async (result) => {
      await Promise.resolve();
      for (const kind of kinds) result.observe(age, 1, { kind });
    },
    [age],
  );
  const failing = (): never => {
    throw new Error("no");
  };
  depth.addCallback(failing);
  depth.addCallback((result) => result.observe(7));
  assert.match(await metrics.collect("prometheus"), /^posthaste_age\{kind="a".*\} 1\nposthaste_age\{kind="b".*\} 1$/m);
  kinds = ["b"];
  const text = await metrics.collect("prometheus");
  assert.doesNotMatch(text, /kind="a"/);
  assert.match(text, /^posthaste_depth\{.*\} 7$/m);
  depth.removeCallback(failing);
  kinds = [];
  assert.doesNotMatch(await metrics.collect("prometheus"), /posthaste_age/);
});
