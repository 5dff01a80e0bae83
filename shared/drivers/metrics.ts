/**
 * The OpenTelemetry metrics SDK with a Prometheus text reader for `/metrics`. Chosen for being the maintained
 * implementation of the API that telemetry/ speaks; it runs on Bun, Node and Deno.
 */
import type { Meter } from "@opentelemetry/api";
import { PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import { MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";

class PullReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

export interface Metrics extends AsyncDisposable {
  readonly meter: Meter;
  /** Prometheus text exposition format 0.0.4. */
  collect(): Promise<string>;
}

export function openMetrics(): Metrics {
  const reader = new PullReader();
  const provider = new MeterProvider({ readers: [reader] });
  const serializer = new PrometheusSerializer();
  return {
    meter: provider.getMeter("posthaste"),
    async collect() {
      const { resourceMetrics } = await reader.collect();
      return serializer.serialize(resourceMetrics);
    },
    [Symbol.asyncDispose]: () => provider.shutdown(),
  };
}
