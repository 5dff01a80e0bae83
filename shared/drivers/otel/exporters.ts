/** What telemetry is exported by: OTLP over HTTP, in protobuf. */
import type { MetricProducer, MetricReader } from "@opentelemetry/sdk-metrics";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import type { SpanExporter } from "@opentelemetry/sdk-trace";

import type { OtlpMetrics, OtlpTarget } from "../../domain/otlp-config.ts";

/** What `openMetrics` makes a further reader with. */
export type ReaderOf = (producer: MetricProducer) => MetricReader;

export function spanExporter(target: OtlpTarget): SpanExporter {
  return new OTLPTraceExporter(optionsOf(target));
}

/** Reads everything once in each interval; `producer` has what is not measured by the SDK. */
export function metricReader(target: OtlpMetrics, producer: MetricProducer): MetricReader {
  return new PeriodicExportingMetricReader({
    exporter: new OTLPMetricExporter(optionsOf(target)),
    exportIntervalMillis: target.intervalMs,
    exportTimeoutMillis: target.timeoutMs,
    metricProducers: [producer],
  });
}

type Options = NonNullable<ConstructorParameters<typeof OTLPTraceExporter>[0]>;
type Compression = NonNullable<Options["compression"]>;

function optionsOf({ url, headers, timeoutMs, isCompressed }: OtlpTarget): Options {
  // The enumeration belongs to a package that is none of our dependencies; these are its values.
  const compression = (isCompressed ? "gzip" : "none") as Compression;
  return { url, headers: { ...headers }, timeoutMillis: timeoutMs, concurrencyLimit: 2, compression };
}
