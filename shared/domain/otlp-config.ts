/**
 * Where telemetry is exported to, by OpenTelemetry's environment variables ("OpenTelemetry Environment Variable Specification" and
 * "OpenTelemetry Protocol Exporter"). Nothing is exported unless an endpoint is set, and logs only when they are asked for by their
 * own endpoint or exporter: they are on the standard output, too. Each problem is named with its variable
 * and ends the start: what is exported wrongly would be missed only when it is needed. Empty counts as not set.
 */
import * as v from "valibot";
import type { Environment } from "./config.ts";

export interface OtlpTarget {
  readonly url: string;
  /** May hold secrets. */
  readonly headers: Readonly<Record<string, string>>;
  /** Of one export. */
  readonly timeoutMs: number;
  readonly isCompressed: boolean;
}

export interface SamplerConfig {
  /** A caller's decision stands. */
  readonly isParentBased: boolean;
  /** Part of the traces that begin here, 0 to 1; of all traces when the caller's decision does not stand. */
  readonly ratio: number;
}

/** What is exported one by one: spans, log records. */
export interface OtlpQueued extends OtlpTarget {
  /** That wait at most. */
  readonly queueMax: number;
  /** Of one export at most. */
  readonly batchMax: number;
  /** The longest that one waits for others. */
  readonly delayMs: number;
}

export interface OtlpTraces extends OtlpQueued {
  readonly sampler: SamplerConfig;
}

export interface OtlpMetrics extends OtlpTarget {
  readonly intervalMs: number;
}

/** Null each: not exported. */
export interface OtlpConfig {
  readonly traces: OtlpTraces | null;
  readonly metrics: OtlpMetrics | null;
  readonly logs: OtlpQueued | null;
}

export const NO_OTLP: OtlpConfig = { traces: null, metrics: null, logs: null };

type Signal = "TRACES" | "METRICS" | "LOGS";

/** `ratio` null: as `OTEL_TRACES_SAMPLER_ARG` says. */
const SAMPLERS = {
  always_on: { isParentBased: false, ratio: 1 },
  always_off: { isParentBased: false, ratio: 0 },
  traceidratio: { isParentBased: false, ratio: null },
  parentbased_always_on: { isParentBased: true, ratio: 1 },
  parentbased_always_off: { isParentBased: true, ratio: 0 },
  parentbased_traceidratio: { isParentBased: true, ratio: null },
} as const satisfies Record<string, { isParentBased: boolean; ratio: 0 | 1 | null }>;
const SAMPLER_NAMES = Object.keys(SAMPLERS) as (keyof typeof SAMPLERS)[];

const HOUR_MS = 3_600_000;
const QUEUE_MAX = 1_000_000;

const wholeTo = (most: number) =>
  v.pipe(
    v.string(),
    v.regex(/^\d{1,9}$/, `must be a whole number from 1 to ${most}`),
    v.transform(Number),
    v.minValue(1, `must be a whole number from 1 to ${most}`),
    v.maxValue(most, `must be a whole number from 1 to ${most}`),
  );
const Duration = wholeTo(HOUR_MS);
const Count = wholeTo(QUEUE_MAX);
const Endpoint = v.pipe(v.string(), v.check(isHttpUrl, "must be an http or https URL, such as http://127.0.0.1:4318"));
const Protocol = v.literal("http/protobuf", "must be http/protobuf; grpc and http/json are not supported");
const Compression = v.picklist(["none", "gzip"], "must be none or gzip");
const Exporter = v.picklist(["otlp", "none"], "must be otlp or none");
const Disabled = v.picklist(["true", "false"], "must be true or false");
const Headers = v.pipe(
  v.string(),
  v.check((text) => headersOf(text) !== null, "must be key=value,key=value, with , = and % in them percent-encoded"),
  v.transform((text) => headersOf(text) ?? {}),
);
const Sampler = v.picklist(SAMPLER_NAMES, `must be one of ${SAMPLER_NAMES.join(", ")}`);
const Ratio = v.pipe(
  v.string(),
  v.regex(/^(?:0|1|1\.0{1,15}|0?\.\d{1,15})$/, "must be a number from 0 to 1, such as 0.1"),
  v.transform(Number),
);

/** With what is wrong, a line each; the variables are read only when an endpoint is set, for they may be another program's. */
export function parseOtlp(environment: Environment): {
  readonly otlp: OtlpConfig;
  readonly problems: readonly string[];
} {
  const problems: string[] = [];
  /** The first of the variables that is set. */
  function read<Output>(schema: v.GenericSchema<string, Output>, ...names: readonly string[]): Output | null {
    const name = names.find((each) => (environment[each] ?? "").trim() !== "");
    if (name === undefined) return null;
    const parsed = v.safeParse(schema, environment[name]?.trim());
    if (parsed.success) return parsed.output;
    problems.push(`${name} ${parsed.issues[0].message}`);
    return null;
  }
  function target(signal: Signal): OtlpTarget | null {
    const own = `OTEL_EXPORTER_OTLP_${signal}`;
    const base = "OTEL_EXPORTER_OTLP";
    // The one of a signal is taken as it is, the one of all is completed.
    const named = read(Endpoint, `${own}_ENDPOINT`);
    const shared = read(Endpoint, `${base}_ENDPOINT`);
    const url = named ?? (shared === null ? null : `${shared.replace(/\/+$/, "")}/v1/${signal.toLowerCase()}`);
    if (url === null) return null;
    const usual = signal === "LOGS" && named === null ? "none" : "otlp";
    if ((read(Exporter, `OTEL_${signal}_EXPORTER`) ?? usual) === "none") return null;
    read(Protocol, `${own}_PROTOCOL`, `${base}_PROTOCOL`);
    return {
      url,
      headers: read(Headers, `${own}_HEADERS`, `${base}_HEADERS`) ?? {},
      timeoutMs: read(Duration, `${own}_TIMEOUT`, `${base}_TIMEOUT`) ?? 10_000,
      isCompressed: read(Compression, `${own}_COMPRESSION`, `${base}_COMPRESSION`) === "gzip",
    };
  }
  function queued(prefix: string, { timeoutMs }: OtlpTarget) {
    return {
      timeoutMs: Math.min(timeoutMs, read(Duration, `${prefix}_EXPORT_TIMEOUT`) ?? timeoutMs),
      queueMax: read(Count, `${prefix}_MAX_QUEUE_SIZE`) ?? 16_384,
      batchMax: read(Count, `${prefix}_MAX_EXPORT_BATCH_SIZE`) ?? 2048,
      delayMs: read(Duration, `${prefix}_SCHEDULE_DELAY`) ?? 1000,
    };
  }
  function traces(): OtlpTraces | null {
    const to = target("TRACES");
    if (to === null) return null;
    const { isParentBased, ratio } = SAMPLERS[read(Sampler, "OTEL_TRACES_SAMPLER") ?? "parentbased_traceidratio"];
    const asked = read(Ratio, "OTEL_TRACES_SAMPLER_ARG") ?? 1;
    return {
      ...to,
      ...queued("OTEL_BSP", to),
      sampler: { isParentBased, ratio: ratio ?? asked },
    };
  }
  function logs(): OtlpQueued | null {
    const to = target("LOGS");
    if (to === null) return null;
    return { ...to, ...queued("OTEL_BLRP", to) };
  }
  function metrics(): OtlpMetrics | null {
    const to = target("METRICS");
    if (to === null) return null;
    const intervalMs = read(Duration, "OTEL_METRIC_EXPORT_INTERVAL") ?? 60_000;
    const timeoutMs = read(Duration, "OTEL_METRIC_EXPORT_TIMEOUT") ?? 30_000;
    return { ...to, intervalMs, timeoutMs: Math.min(to.timeoutMs, timeoutMs, intervalMs) };
  }
  if (read(Disabled, "OTEL_SDK_DISABLED") === "true") return { otlp: NO_OTLP, problems };
  const otlp = { traces: traces(), metrics: metrics(), logs: logs() };
  return { otlp, problems: [...new Set(problems)] };
}

function isHttpUrl(text: string): boolean {
  try {
    return /^https?:$/.test(new URL(text).protocol);
  } catch {
    return false;
  }
}

/** Header names are lower-cased; null for what does not read back or is no text of HTTP. */
function headersOf(text: string): Record<string, string> | null {
  const headers: Record<string, string> = {};
  for (const pair of text.split(",")) {
    if (pair.trim() === "") continue;
    const at = pair.indexOf("=");
    if (at < 1) return null;
    try {
      const name = decodeURIComponent(pair.slice(0, at).trim()).toLowerCase();
      const value = decodeURIComponent(pair.slice(at + 1).trim());
      if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name) || !/^[\t\x20-\x7e]*$/.test(value)) return null;
      headers[name] = value;
    } catch {
      return null;
    }
  }
  return headers;
}
