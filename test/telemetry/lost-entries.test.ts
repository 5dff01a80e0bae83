/** What buffers of the drivers lost reaches whoever collects, also where nobody reads `/metrics`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MetricReader } from "@opentelemetry/sdk-metrics";
import { openMetrics } from "@posthaste/shared/drivers/metrics/metrics.ts";
import { createQueueTelemetry } from "@posthaste/shared/telemetry/queue.ts";
import { createManualClock } from "../support/clocks/manual-clock.ts";

const NAME = "posthaste.projection.dropped";

/** Stands for the exporter by OTLP. */
class Exporter extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}

  async dropped(): Promise<unknown> {
    const { resourceMetrics } = await this.collect();
    const metrics = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
    return metrics.find(({ descriptor }) => descriptor.name === NAME)?.dataPoints.map(({ value }) => value);
  }
}

test("lost entries of the ledger are counted at each collection by anybody, and each is logged once", async () => {
  const clock = createManualClock(0);
  const exporter = new Exporter();
  await using metrics = openMetrics(clock, { "service.name": "test" }, [() => exporter]);
  const lines: unknown[] = [];
  const log = { write: (...line: unknown[]) => void lines.push(line), isEnabled: () => true };
  let lost = 0;
  createQueueTelemetry({ meter: metrics.meter, log, clock }).observeLost(() => lost);
  assert.deepEqual(await exporter.dropped(), [0]);
  lost = 3;
  assert.deepEqual(await exporter.dropped(), [3]);
  assert.deepEqual(await exporter.dropped(), [3]);
  assert.match(await metrics.collect("prometheus"), /^posthaste_projection_dropped_total\{buffer="ledger".*\} 3$/m);
  lost = 5;
  assert.match(await metrics.collect("prometheus"), /^posthaste_projection_dropped_total\{buffer="ledger".*\} 5$/m);
  assert.deepEqual(await exporter.dropped(), [5]);
  assert.deepEqual(lines, [
    ["error", "projection.dropped", { buffer: "ledger", count: 3 }],
    ["error", "projection.dropped", { buffer: "ledger", count: 2 }],
  ]);
});
