/**
 * OpenTelemetry's SDK as far as it is asked for. Loading it takes 0.2 s and 33 MiB, so whoever exports nothing does not import
 * this file. Spans are handed to the SDK's processor when they are complete, with ids of our own (docs/adr/0023).
 */
import { ROOT_CONTEXT } from "@opentelemetry/api";
import type { Resource } from "@opentelemetry/resources";
import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources";
import { NodeSDK } from "@opentelemetry/sdk-node";
import { AlwaysOnSampler, SamplingDecision, TraceIdRatioBasedSampler } from "@opentelemetry/sdk-trace";

import { reasonOf } from "../../domain/errors.ts";
import type { OtlpConfig, OtlpTraces, SamplerConfig } from "../../domain/otlp-config.ts";
import { SAMPLED } from "../../domain/traceparent.ts";
import type { Clock } from "../../lib/ambient.ts";
import type { Log } from "../../telemetry/log.ts";
import { createLogPace } from "../../telemetry/log-pace.ts";
import type { SpanAttributes, SpanSink } from "../../telemetry/spans.ts";
import type { ReaderOf } from "./exporters.ts";
import { metricReader, spanExporter } from "./exporters.ts";
import { RecordedSpan } from "./recorded-span.ts";
import { SpanQueue } from "./span-queue.ts";

export interface Otel extends AsyncDisposable {
  /** Null: traces are not exported. */
  readonly spans: SpanSink | null;
  /** For `openMetrics`; none when metrics are not exported. */
  readonly readers: readonly ReaderOf[];
}

export interface OtelOptions {
  readonly clock: Pick<Clock, "timer" | "monotonic">;
  readonly log: Log;
  readonly config: OtlpConfig;
  /** Of the program: `service.name` and others. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** Disposing exports what waits, in bounded time. */
export function openOtel(options: OtelOptions): Otel {
  const { traces, metrics } = options.config;
  const readers: readonly ReaderOf[] = metrics === null ? [] : [(producer) => metricReader(metrics, producer)];
  if (traces === null) return { spans: null, readers, [Symbol.asyncDispose]: () => Promise.resolve() };
  const { spans, sdk } = startTraces(options, traces);
  return { spans, readers, [Symbol.asyncDispose]: () => sdk.shutdown() };
}

function startTraces({ clock, log, attributes }: OtelOptions, target: OtlpTraces): { spans: SpanSink; sdk: NodeSDK } {
  const pace = createLogPace(clock);
  const resource = defaultResource().merge(resourceFromAttributes(attributes));
  const queue = new SpanQueue({
    ...target,
    clock,
    exporter: spanExporter(target, attributesOf(resource)),
    onFailure(error, count) {
      const unlogged = pace.turn("spans");
      if (unlogged === null) return;
      log.write("warn", "spans.not-exported", { error: reasonOf(error), count, unlogged });
    },
  });
  const sdk = new NodeSDK({
    resource,
    autoDetectResources: false,
    sampler: new AlwaysOnSampler(),
    spanProcessors: [queue],
    metricReaders: [],
    logRecordProcessors: [],
    instrumentations: [],
    textMapPropagator: null,
  });
  sdk.start();
  const isSampled = createSampler(target.sampler);
  const spans: SpanSink = {
    isSampled,
    record: (span) => queue.onEnd(new RecordedSpan(span, resource)),
    lost: () => queue.lost,
  };
  return { spans, sdk };
}

/** Of a resource that is known at once. */
function attributesOf({ attributes }: Resource): SpanAttributes {
  return Object.fromEntries(Object.entries(attributes).map(([key, value]) => [key, String(value)]));
}

function createSampler({ isParentBased, ratio }: SamplerConfig): SpanSink["isSampled"] {
  const sampler = new TraceIdRatioBasedSampler(ratio);
  return (traceId, parentFlags) => {
    if (isParentBased && parentFlags !== null) return (parentFlags & SAMPLED) !== 0;
    if (ratio >= 1) return true;
    return sampler.shouldSample(ROOT_CONTEXT, traceId).decision === SamplingDecision.RECORD_AND_SAMPLED;
  };
}
