/** What telemetry is exported by: OTLP over HTTP, in protobuf. */
import type { MetricProducer, MetricReader } from "@opentelemetry/sdk-metrics";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-proto";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPExporterBase } from "@opentelemetry/otlp-exporter-base";
import { convertLegacyHttpOptions, createOtlpHttpExportDelegate } from "@opentelemetry/otlp-exporter-base/node-http";
import { ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import { PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import type { ReadableLogRecord } from "@opentelemetry/sdk-logs";

import type { OtlpMetrics, OtlpTarget } from "../../domain/otlp-config.ts";
import type { Exporter } from "./export-queue.ts";

/** What `openMetrics` makes a further reader with. */
export type ReaderOf = (producer: MetricProducer) => MetricReader;

/** The SDK's exporter, of requests that are written already. */
export function spanExporter(target: OtlpTarget): Exporter<Uint8Array> {
  const head = { "Content-Type": "application/x-protobuf" };
  const options = convertLegacyHttpOptions(optionsOf(target), "TRACES", "v1/traces", head);
  const serializer = {
    serializeRequest: (request: Uint8Array) => request,
    deserializeResponse: (data: Uint8Array) => ProtobufTraceSerializer.deserializeResponse(data),
  };
  // What it would count of itself goes nowhere.
  const uncounted = { name: "span", countItems: () => 0 } as const;
  return new OTLPExporterBase(
    createOtlpHttpExportDelegate(options, serializer, "otlp_http_span_exporter", uncounted, undefined),
  );
}

export function logExporter(target: OtlpTarget): Exporter<ReadableLogRecord[]> {
  return new OTLPLogExporter(optionsOf(target));
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

type Options = NonNullable<ConstructorParameters<typeof OTLPMetricExporter>[0]>;
type Compression = NonNullable<Options["compression"]>;

function optionsOf({ url, headers, timeoutMs, isCompressed }: OtlpTarget): Options {
  // The enumeration belongs to a package that is none of our dependencies; these are its values.
  const compression = (isCompressed ? "gzip" : "none") as Compression;
  return { url, headers: { ...headers }, timeoutMillis: timeoutMs, concurrencyLimit: 2, compression };
}
