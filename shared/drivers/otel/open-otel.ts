/**
 * OpenTelemetry's SDK as far as it is asked for. Loading it takes 0.2 s and 33 MiB, so whoever exports nothing does not import
 * this file. Spans are handed to the SDK's processor when they are complete, with ids of our own (docs/adr/0023).
 */
import type { HrTime, SpanContext } from "@opentelemetry/api";
import { ROOT_CONTEXT, SpanStatusCode } from "@opentelemetry/api";
import type { Resource } from "@opentelemetry/resources";
import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources";
import { NodeSDK } from "@opentelemetry/sdk-node";
import type { ReadableLogRecord } from "@opentelemetry/sdk-logs";
import type { ReadableSpan, SpanProcessor } from "@opentelemetry/sdk-trace";
import { AlwaysOnSampler, SamplingDecision, TraceIdRatioBasedSampler } from "@opentelemetry/sdk-trace";

import { reasonOf } from "../../domain/errors.ts";
import type { OtlpConfig, OtlpQueued, OtlpTraces, SamplerConfig } from "../../domain/otlp-config.ts";
import type { SpanRef } from "../../domain/traceparent.ts";
import { SAMPLED, parseTraceparent, traceIdText } from "../../domain/traceparent.ts";
import type { Clock } from "../../lib/ambient.ts";
import { assert } from "../../lib/assert.ts";
import type { Fields, Log } from "../../telemetry/log.ts";
import { createLogPace } from "../../telemetry/log-pace.ts";
import type { Losses } from "../../telemetry/losses.ts";
import type { Span, SpanAttributes, SpanSink } from "../../telemetry/spans.ts";
import type { Backlog } from "./backlog.ts";
import { backlogOfItems, backlogOfSpans } from "./backlog.ts";
import type { Exporter } from "./export-queue.ts";
import type { ReaderOf } from "./exporters.ts";
import { logExporter, metricReader, spanExporter } from "./exporters.ts";
import { ExportQueue } from "./export-queue.ts";
import { createRecordLog } from "./log-records.ts";
import { SCOPE } from "./scope.ts";
import { SpansRequest } from "./span-bytes.ts";

export interface Otel extends AsyncDisposable {
  /** Null: traces are not exported. */
  readonly spans: SpanSink | null;
  /** Null: log lines are not exported. */
  readonly logs: ExportedLog | null;
  /** For `openMetrics`; none when metrics are not exported. */
  readonly readers: readonly ReaderOf[];
}

export interface ExportedLog {
  readonly log: Log;
  /** Records lost since the start. */
  lost(): Losses;
}

export interface OtelOptions {
  readonly clock: Pick<Clock, "now" | "timer" | "monotonic">;
  /** Where failures to export are told: not itself exported. What it is enabled for is exported. */
  readonly log: Log;
  readonly config: OtlpConfig;
  /** Of the program: `service.name` and others. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** Disposing exports what waits, in bounded time. */
export function openOtel(options: OtelOptions): Otel {
  const { traces, metrics, logs } = options.config;
  const readers: readonly ReaderOf[] = metrics === null ? [] : [(producer) => metricReader(metrics, producer)];
  const resource = defaultResource().merge(resourceFromAttributes(options.attributes));
  const opened = {
    spans: traces === null ? null : startTraces(options, resource, traces),
    logs: logs === null ? null : startLogs(options, resource, logs),
  };
  return {
    spans: opened.spans?.spans ?? null,
    logs: opened.logs,
    readers,
    async [Symbol.asyncDispose]() {
      await Promise.all([opened.spans?.sdk.shutdown(), opened.logs?.close()]);
    },
  };
}

function startTraces(options: OtelOptions, resource: Resource, target: OtlpTraces) {
  const { log } = options;
  const attributes = attributesOf(resource.attributes);
  const backlog = backlogOfSpans(target.batchMax, (storage) => new SpansRequest(attributes, SCOPE.name, storage));
  const queue = openQueue(options, target, { exporter: spanExporter(target), backlog }, (fields) =>
    log.write("warn", "spans.not-exported", fields),
  );
  const processor: SpanProcessor = {
    onStart: () => undefined,
    // Of code that uses OpenTelemetry's own interface: ours come by `record`.
    onEnd: (span) => queue.add(spanOf(span)),
    forceFlush: () => queue.flush(),
    shutdown: () => queue.close(),
  };
  const sdk = new NodeSDK({
    resource,
    autoDetectResources: false,
    sampler: new AlwaysOnSampler(),
    spanProcessors: [processor],
    metricReaders: [],
    logRecordProcessors: [],
    instrumentations: [],
    textMapPropagator: null,
  });
  sdk.start();
  const isSampled = createSampler(target.sampler);
  const spans: SpanSink = {
    isSampled,
    record: (span) => queue.add(span),
    lost: () => queue.lost,
  };
  return { spans, sdk };
}

function startLogs(
  options: OtelOptions,
  resource: Resource,
  target: OtlpQueued,
): ExportedLog & { close(): Promise<void> } {
  const { clock, log } = options;
  const exporter = logExporter(target);
  const backlog = backlogOfItems<ReadableLogRecord>(target.batchMax);
  const queue = openQueue(options, target, { exporter, backlog }, (fields) =>
    log.write("warn", "logs.not-exported", fields),
  );
  return {
    log: createRecordLog({ clock, isEnabled: log.isEnabled, resource, add: (record) => queue.add(record) }),
    lost: () => queue.lost,
    close: () => queue.close(),
  };
}

function openQueue<Item, Batch>(
  { clock }: OtelOptions,
  target: OtlpQueued,
  way: { readonly exporter: Exporter<Batch>; readonly backlog: Backlog<Item, Batch> },
  tell: (fields: Fields) => void,
): ExportQueue<Item, Batch> {
  const pace = createLogPace(clock);
  const { queueMax, batchMax, delayMs, timeoutMs } = target;
  return new ExportQueue({
    clock,
    ...way,
    queueMax,
    batchMax,
    delayMs,
    timeoutMs,
    onFailure(error, count) {
      const unlogged = pace.turn("export");
      if (unlogged !== null) tell({ error: reasonOf(error), count, unlogged });
    },
  });
}

/** Of a resource that is known at once. */
function attributesOf(attributes: Readonly<Record<string, unknown>>): SpanAttributes {
  return Object.fromEntries(Object.entries(attributes).map(([key, value]) => [key, String(value)]));
}

/** A stem for each: whoever uses that interface has spans of their own kinds. */
function spanOf(span: ReadableSpan): Span {
  const startMs = msOf(span.startTime);
  return {
    self: refOf(span.spanContext()),
    parent: span.parentSpanContext === undefined ? null : refOf(span.parentSpanContext),
    stem: { name: span.name, kind: KINDS[span.kind] ?? "internal", attributes: attributesOf(span.attributes) },
    startMs,
    endMs: msOf(span.endTime),
    attributes: {},
    error: span.status.code === SpanStatusCode.ERROR ? (span.status.message ?? "failed") : null,
    links: span.links.map(({ context }) => refOf(context)),
    events: span.events.map(({ name, time }) => ({ name, sinceStartMs: msOf(time) - startMs })),
  };
}

function refOf({ traceId, spanId }: SpanContext): SpanRef {
  const ref = parseTraceparent(`00-${traceId}-${spanId}-01`);
  assert(ref !== null, "the SDK's ids are valid");
  return ref;
}

const KINDS = ["internal", "server", "client", "producer", "consumer"] as const;

const msOf = ([seconds, nanos]: HrTime): number => seconds * 1000 + nanos / 1e6;

function createSampler({ isParentBased, ratio }: SamplerConfig): SpanSink["isSampled"] {
  const sampler = new TraceIdRatioBasedSampler(ratio);
  return (trace, parentFlags) => {
    if (isParentBased && parentFlags !== null) return (parentFlags & SAMPLED) !== 0;
    if (ratio >= 1) return true;
    return sampler.shouldSample(ROOT_CONTEXT, traceIdText(trace)).decision === SamplingDecision.RECORD_AND_SAMPLED;
  };
}
