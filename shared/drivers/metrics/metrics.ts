/**
 * The OpenTelemetry metrics SDK with a reader for the text of `/metrics`. Chosen for being the maintained
 * implementation of the API that telemetry/ speaks; it runs on Bun, Node and Deno.
 */
import type { Meter } from "@opentelemetry/api";
import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources";
import type { MetricProducer } from "@opentelemetry/sdk-metrics";
import { MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";

import type { MetricsFormat } from "../../domain/metrics-format.ts";
import type { Clock } from "../../lib/ambient.ts";
import { inTime } from "../../lib/in-time.ts";
import { exposition } from "./exposition.ts";
import { createObservedGauges } from "./observed-gauges.ts";
import { createQuickInstruments } from "./quick-instruments.ts";

const METER = "posthaste";
/** A reader that exports once more at the end is waited for so long. */
const END_MS = 3000;

class PullReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

export interface Metrics extends AsyncDisposable {
  readonly meter: Meter;
  /** All that was measured so far, as text. */
  collect(format: MetricsFormat): Promise<string>;
}

/** Makes a further reader of all that is measured; the producer has what the SDK does not measure itself. */
type ReaderOf = (producer: MetricProducer) => MetricReader;

/** `attributes` name the program: `service.name` and whatever else its operator wants to tell its instances by. */
export function openMetrics(
  clock: Pick<Clock, "now" | "timer">,
  attributes: Readonly<Record<string, string>>,
  further: readonly ReaderOf[] = [],
): Metrics {
  const { collect, ...gauges } = createObservedGauges();
  const { createCounter, createHistogram, producer } = createQuickInstruments(METER, () => clock.now(), collect);
  const reader = new PullReader({ metricProducers: [producer] });
  const resource = defaultResource().merge(resourceFromAttributes(attributes));
  const provider = new MeterProvider({ resource, readers: [reader, ...further.map((readerOf) => readerOf(producer))] });
  return {
    meter: withInstruments(provider.getMeter(METER), { createCounter, createHistogram, ...gauges }),
    async collect(format) {
      const { resourceMetrics } = await reader.collect();
      return exposition(resourceMetrics, format);
    },
    async [Symbol.asyncDispose]() {
      // A collector that is away or hangs costs the last values, and no more time.
      await inTime(clock, END_MS, provider.shutdown()).catch(() => undefined);
    },
  };
}

/** The SDK's meter, with other makers of counters, histograms and gauges. */
function withInstruments(meter: Meter, makers: Partial<Meter>): Meter {
  return Object.assign(Object.create(meter) as Meter, makers);
}
