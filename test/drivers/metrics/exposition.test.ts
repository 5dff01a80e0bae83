/** The text of /metrics is read by the parsers of the Prometheus project, in both formats, and says the same in both. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatFor } from "@posthaste/shared/domain/metrics-format.ts";
import { openMetrics } from "@posthaste/shared/drivers/metrics/metrics.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { exerciseTelemetry } from "../../docs/exercise-telemetry.ts";
import type { ParsedFamily } from "../../support/parsed-metrics.ts";
import { parseMetrics } from "../../support/parsed-metrics.ts";

const ODD = 'odd "\\ \n é';

async function textsOf(measure: (meter: Parameters<typeof exerciseTelemetry>[0]) => void) {
  await using metrics = openMetrics(systemClock, { "service.name": "posthaste", odd: ODD });
  measure(metrics.meter);
  return { prometheus: await metrics.collect("prometheus"), openmetrics: await metrics.collect("openmetrics") };
}

/** Without the bounds of buckets, which are written in two ways, and the target, whose type differs. */
function samplesOf(families: readonly ParsedFamily[]): readonly string[] {
  return families
    .flatMap(({ samples }) => samples)
    .map(({ name, labels, value }) => {
      const shown = Object.entries(labels).map(([label, text]) => `${label}=${label === "le" ? Number(text) : text}`);
      return `${name} ${shown.toSorted().join(",")} ${value}`;
    })
    .toSorted();
}

test("all that the telemetry measures parses in both formats, with the same samples", async () => {
  const texts = await textsOf(exerciseTelemetry);
  const plain = await parseMetrics(texts.prometheus, "prometheus");
  const strict = await parseMetrics(texts.openmetrics, "openmetrics");
  assert.ok(strict.length > 15);
  assert.deepEqual(samplesOf(plain), samplesOf(strict));
  for (const { name, help, type } of strict) if (type !== "info") assert.match(help, /\S/, name);
  const lag = strict.find(({ name }) => name === "posthaste_queue_lag_seconds");
  assert.deepEqual([lag?.type, lag?.unit], ["gauge", "seconds"]);
  const requests = strict.find(({ name }) => name === "http_server_request_duration_seconds");
  assert.deepEqual([requests?.type, requests?.unit], ["histogram", "seconds"]);
});

test("names end in their unit and a counter's samples in _total; label values come back as they were", async () => {
  const texts = await textsOf((meter) => {
    meter.createCounter("a.b", { unit: "By", description: ODD }).add(2, { "label.one": ODD });
    const bounds = { explicitBucketBoundaries: [0.5, 1, 3600] };
    meter.createHistogram("took", { unit: "s", description: "Time", advice: bounds }).record(0.7);
    const full = meter.createObservableGauge("fill", { unit: "1", description: "Part" });
    full.addCallback((result) => result.observe(0.25));
  });
  for (const format of ["prometheus", "openmetrics"] as const) {
    const families = await parseMetrics(texts[format], format);
    const of = (name: string) => families.flatMap(({ samples }) => samples).find((sample) => sample.name === name);
    assert.equal(of("a_b_bytes_total")?.value, 2);
    assert.equal(of("a_b_bytes_total")?.labels["label_one"], ODD);
    assert.equal(of("target_info")?.labels["odd"], ODD);
    assert.equal(of("fill_ratio")?.value, 0.25);
    assert.equal(of("took_seconds_count")?.value, 1);
    assert.equal(families.find(({ name }) => name.startsWith("a_b_bytes"))?.help, ODD);
  }
  await assert.rejects(parseMetrics(texts.openmetrics.replace("# EOF\n", ""), "openmetrics"), /EOF/);
});

for (const [accept, format] of [
  [null, "prometheus"],
  ["*/*", "prometheus"],
  ["text/html", "prometheus"],
  ["application/openmetrics-text", "openmetrics"],
  ["application/openmetrics-text;version=0.0.1", "prometheus"],
  ["Application/OpenMetrics-Text; Version=1.0.0; q=0.5, text/plain;q=0.6", "prometheus"],
  ["application/openmetrics-text;q=0", "prometheus"],
  // What Prometheus 2 and 3 send.
  [
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
    "openmetrics",
  ],
  [
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.2",
    "openmetrics",
  ],
] as const) {
  test(`Accept: ${accept ?? "(none)"} is answered as ${format}`, () => assert.equal(formatFor(accept), format));
}
