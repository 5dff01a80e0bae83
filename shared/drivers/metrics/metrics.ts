/**
 * The OpenTelemetry metrics SDK with a reader for the text of `/metrics`. Chosen for being the maintained
 * implementation of the API that telemetry/ speaks; it runs on Bun, Node and Deno.
 */
import type { Meter } from "@opentelemetry/api";
import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";

import type { MetricsFormat } from "../../domain/metrics-format.ts";
import type { Clock } from "../../lib/ambient.ts";
import { exposition } from "./exposition.ts";
import { createObservedGauges } from "./observed-gauges.ts";
import { createQuickInstruments } from "./quick-instruments.ts";

const METER = "posthaste";

class PullReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

export interface Metrics extends AsyncDisposable {
  readonly meter: Meter;
  /** All that was measured so far, as text. */
  collect(format: MetricsFormat): Promise<string>;
}

/** `attributes` name the program: `service.name` and whatever else its operator wants to tell its instances by. */
export function openMetrics(clock: Pick<Clock, "now">, attributes: Readonly<Record<string, string>>): Metrics {
  const { collect, ...gauges } = createObservedGauges();
  const { createCounter, createHistogram, producer } = createQuickInstruments(METER, () => clock.now(), collect);
  const reader = new PullReader({ metricProducers: [producer] });
  const resource = defaultResource().merge(resourceFromAttributes(attributes));
  const provider = new MeterProvider({ resource, readers: [reader] });
  return {
    meter: withInstruments(provider.getMeter(METER), { createCounter, createHistogram, ...gauges }),
    async collect(format) {
      const { resourceMetrics } = await reader.collect();
      return exposition(resourceMetrics, format);
    },
    [Symbol.asyncDispose]: () => provider.shutdown(),
  };
}

/** The SDK's meter, with other makers of counters, histograms and gauges. */
function withInstruments(meter: Meter, makers: Partial<Meter>): Meter {
  return Object.assign(Object.create(meter) as Meter, makers);
}
