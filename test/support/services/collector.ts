/** OpenTelemetry's collector as a process: takes OTLP, and writes what it took into files that a test reads. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SunkSpan } from "../otlp-sink.ts";
import { requireCollector } from "./collector-binary.ts";
import { freePort } from "./free-ports.ts";
import type { ServiceProcess } from "./service-process.ts";
import { startService } from "./service-process.ts";
import { openTemporaryFolder } from "./temporary-folder.ts";
import { waitFor } from "./wait-for.ts";

export interface Collector extends AsyncDisposable {
  /** `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly url: string;
  readonly service: ServiceProcess;
  /** Resolves once `isThere` is true of all spans that it wrote. */
  until(isThere: (spans: readonly SunkSpan[]) => boolean): Promise<readonly SunkSpan[]>;
  /** Log records that it wrote. */
  logs(): readonly SunkLog[];
  /** Names of the metrics that it wrote. */
  metricNames(): ReadonlySet<string>;
}

export interface SunkLog {
  readonly service: string;
  readonly name: string;
  readonly severity: string;
  readonly severityNumber: number;
  readonly traceId: string;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
}

const WITHIN_MS = 60_000;

export async function startCollector(): Promise<Collector> {
  const binary = requireCollector();
  await using opening = new AsyncDisposableStack();
  const folder = opening.use(openTemporaryFolder("collector")).path;
  const port = await freePort();
  const config = join(folder, "config.yaml");
  writeFileSync(config, configOf(folder, port));
  const service = opening.use(
    await startService({
      name: "collector",
      command: [binary, "--config", config],
      folder,
      isReady: (log) => log.includes("Everything is ready"),
      readyWithinMs: WITHIN_MS,
    }),
  );
  const spans = (): readonly SunkSpan[] => linesOf(join(folder, "traces.jsonl")).flatMap(spansOf);
  const opened = opening.move();
  return {
    url: `http://127.0.0.1:${port}`,
    service,
    async until(isThere) {
      await waitFor({ fact: "the spans at the collector", withinMs: WITHIN_MS, holds: () => isThere(spans()) });
      return spans();
    },
    logs: () => linesOf(join(folder, "logs.jsonl")).flatMap(logsOf),
    metricNames: () => new Set(linesOf(join(folder, "metrics.jsonl")).flatMap(metricsOf)),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

function configOf(folder: string, port: number): string {
  return `receivers:
  otlp:
    protocols:
      http:
        endpoint: 127.0.0.1:${port}
exporters:
  debug:
  file/traces:
    path: ${join(folder, "traces.jsonl")}
    flush_interval: 50ms
  file/logs:
    path: ${join(folder, "logs.jsonl")}
    flush_interval: 50ms
  file/metrics:
    path: ${join(folder, "metrics.jsonl")}
    flush_interval: 50ms
service:
  telemetry:
    metrics:
      level: none
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [debug, file/traces]
    logs:
      receivers: [otlp]
      exporters: [file/logs]
    metrics:
      receivers: [otlp]
      exporters: [file/metrics]
`;
}

/** OTLP in JSON ("OTLP/HTTP", "JSON Protobuf Encoding"): ids in hex, whole numbers of 64 bits as text. */
interface Scoped {
  readonly resource: { readonly attributes: readonly Pair[] };
  readonly scopeSpans?: readonly { readonly spans: readonly JsonSpan[] }[];
  readonly scopeLogs?: readonly { readonly logRecords: readonly JsonLog[] }[];
  readonly scopeMetrics?: readonly { readonly metrics: readonly { readonly name: string }[] }[];
}
interface Pair {
  readonly key: string;
  readonly value: Readonly<Record<string, string | number | boolean>>;
}
interface JsonSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes?: readonly Pair[];
  readonly status?: { readonly code?: number };
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly events?: readonly { readonly name: string }[];
}

interface JsonLog {
  readonly eventName?: string;
  readonly severityText?: string;
  readonly severityNumber?: number;
  readonly traceId?: string;
  readonly attributes?: readonly Pair[];
}

const KINDS = ["", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"] as const;

/** The last line may still be being written. */
function linesOf(path: string): readonly Scoped[] {
  if (!existsSync(path)) return [];
  const text = readFileSync(path, "utf8");
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  return whole
    .split("\n")
    .filter((line) => line !== "")
    .flatMap((line) => Object.values(JSON.parse(line) as Readonly<Record<string, readonly Scoped[]>>).flat());
}

function spansOf({ resource, scopeSpans = [] }: Scoped): readonly SunkSpan[] {
  const service = String(attributesOf(resource.attributes)["service.name"]);
  return scopeSpans
    .flatMap(({ spans }) => spans)
    .map((span) => ({
      service,
      traceId: span.traceId,
      spanId: span.spanId,
      parentId: span.parentSpanId ?? "",
      name: span.name,
      kind: KINDS[span.kind] ?? "",
      startMs: Number(span.startTimeUnixNano) / 1e6,
      endMs: Number(span.endTimeUnixNano) / 1e6,
      attributes: attributesOf(span.attributes ?? []),
      isError: span.status?.code === 2,
      links: span.links ?? [],
      events: (span.events ?? []).map(({ name }) => name),
    }));
}

function logsOf({ resource, scopeLogs = [] }: Scoped): readonly SunkLog[] {
  const service = String(attributesOf(resource.attributes)["service.name"]);
  return scopeLogs
    .flatMap(({ logRecords }) => logRecords)
    .map(({ eventName = "", severityText = "", severityNumber = 0, traceId = "", attributes = [] }) => ({
      service,
      name: eventName,
      severity: severityText,
      severityNumber,
      traceId,
      attributes: attributesOf(attributes),
    }));
}

function metricsOf({ scopeMetrics = [] }: Scoped): readonly string[] {
  return scopeMetrics.flatMap(({ metrics }) => metrics.map(({ name }) => name));
}

function attributesOf(pairs: readonly Pair[]): Record<string, string | number | boolean> {
  return Object.fromEntries(
    pairs.map(({ key, value }) => {
      const [[type, content] = ["", ""]] = Object.entries(value);
      return [key, type === "intValue" ? Number(content) : content];
    }),
  );
}
