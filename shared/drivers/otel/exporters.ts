/** What telemetry is exported by: OTLP over HTTP, in protobuf. */
import type { MetricProducer, MetricReader } from "@opentelemetry/sdk-metrics";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-proto";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPExporterBase } from "@opentelemetry/otlp-exporter-base";
import { convertLegacyHttpOptions, createOtlpHttpExportDelegate } from "@opentelemetry/otlp-exporter-base/node-http";
import { ProtobufTraceSerializer, TraceExporterMetricsHelper } from "@opentelemetry/otlp-transformer";
import { PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import type { ReadableLogRecord } from "@opentelemetry/sdk-logs";
import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace";

import type { OtlpMetrics, OtlpTarget } from "../../domain/otlp-config.ts";
import type { SpanAttributes } from "../../telemetry/spans.ts";
import type { Exporter } from "./export-queue.ts";
import { RecordedSpan, SCOPE } from "./recorded-span.ts";
import { encodeSpans } from "./span-bytes.ts";

/** What `openMetrics` makes a further reader with. */
export type ReaderOf = (producer: MetricProducer) => MetricReader;

/** The SDK's exporter, but that spans of ours are written by `span-bytes.ts`. */
export function spanExporter(target: OtlpTarget, attributes: SpanAttributes): SpanExporter {
  const head = { "Content-Type": "application/x-protobuf" };
  const options = convertLegacyHttpOptions(optionsOf(target), "TRACES", "v1/traces", head);
  const serializer = {
    ...ProtobufTraceSerializer,
    serializeRequest(spans: ReadableSpan[]) {
      const ours = spans.flatMap((span) => (span instanceof RecordedSpan ? [span.recorded] : []));
      if (ours.length < spans.length) return ProtobufTraceSerializer.serializeRequest(spans);
      return encodeSpans(ours, attributes, SCOPE.name);
    },
  };
  const kind = "otlp_http_span_exporter";
  return new OTLPExporterBase(
    createOtlpHttpExportDelegate(options, serializer, kind, TraceExporterMetricsHelper, undefined),
  );
}

export function logExporter(target: OtlpTarget): Exporter<ReadableLogRecord> {
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
