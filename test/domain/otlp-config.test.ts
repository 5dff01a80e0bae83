/** OpenTelemetry's variables: what is exported where, and that a wrong one is named. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseOtlp } from "@posthaste/shared/domain/otlp-config.ts";

const BASE = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318/" };

test("nothing is exported, or even read, unless an endpoint is set", () => {
  const nothing = { otlp: { traces: null, metrics: null, logs: null }, problems: [] };
  assert.deepEqual(parseOtlp({}), nothing);
  assert.deepEqual(parseOtlp({ OTEL_EXPORTER_OTLP_ENDPOINT: "", OTEL_TRACES_SAMPLER: "odd" }), nothing);
  assert.deepEqual(parseOtlp({ ...BASE, OTEL_SDK_DISABLED: "true", OTEL_TRACES_SAMPLER: "odd" }), nothing);
});

test("the endpoint of all gets the path of each signal, one of its own is taken as it is", () => {
  const { otlp } = parseOtlp({ ...BASE, OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "https://other/m" });
  assert.equal(otlp.traces?.url, "http://collector:4318/v1/traces");
  assert.equal(otlp.metrics?.url, "https://other/m");
  assert.equal(parseOtlp({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://t" }).otlp.metrics, null);
  assert.equal(parseOtlp({ ...BASE, OTEL_TRACES_EXPORTER: "none" }).otlp.traces, null);
});

test("log lines are exported only when they are asked for, by an endpoint or an exporter of their own", () => {
  assert.equal(parseOtlp(BASE).otlp.logs, null);
  assert.equal(parseOtlp({ OTEL_LOGS_EXPORTER: "otlp" }).otlp.logs, null);
  assert.equal(parseOtlp({ ...BASE, OTEL_LOGS_EXPORTER: "otlp" }).otlp.logs?.url, "http://collector:4318/v1/logs");
  const own = { OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "http://l/x" };
  assert.equal(parseOtlp(own).otlp.logs?.url, "http://l/x");
  assert.equal(parseOtlp({ ...own, OTEL_LOGS_EXPORTER: "none" }).otlp.logs, null);
  const { queueMax, batchMax, delayMs, timeoutMs } = parseOtlp({
    ...own,
    OTEL_BLRP_MAX_QUEUE_SIZE: "7",
    OTEL_BLRP_MAX_EXPORT_BATCH_SIZE: "3",
    OTEL_BLRP_SCHEDULE_DELAY: "20",
    OTEL_BLRP_EXPORT_TIMEOUT: "900",
  }).otlp.logs ?? { queueMax: 0, batchMax: 0, delayMs: 0, timeoutMs: 0 };
  assert.deepEqual([queueMax, batchMax, delayMs, timeoutMs], [7, 3, 20, 900]);
});

test("headers are percent-decoded, and those of a signal come before those of all", () => {
  const shared = { ...BASE, OTEL_EXPORTER_OTLP_HEADERS: "Authorization=Bearer%20a%3Db, x-key = 1" };
  assert.deepEqual(parseOtlp(shared).otlp.traces?.headers, { authorization: "Bearer a=b", "x-key": "1" });
  const own = { ...shared, OTEL_EXPORTER_OTLP_TRACES_HEADERS: "x-key=2" };
  assert.deepEqual(parseOtlp(own).otlp.traces?.headers, { "x-key": "2" });
});

for (const [sampler, arg, expected] of [
  [undefined, undefined, { isParentBased: true, ratio: 1 }],
  [undefined, "0.25", { isParentBased: true, ratio: 0.25 }],
  ["traceidratio", ".5", { isParentBased: false, ratio: 0.5 }],
  ["always_off", "1", { isParentBased: false, ratio: 0 }],
  ["parentbased_always_on", "0", { isParentBased: true, ratio: 1 }],
] as const) {
  test(`the sampler ${sampler} with ${arg}`, () => {
    const env = { ...BASE, OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: arg };
    assert.deepEqual(parseOtlp(env).otlp.traces?.sampler, expected);
  });
}

for (const [name, value] of [
  ["OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"],
  ["OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"],
  ["OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json"],
  ["OTEL_EXPORTER_OTLP_HEADERS", "authorization"],
  ["OTEL_EXPORTER_OTLP_HEADERS", "x=%0d%0a"],
  ["OTEL_EXPORTER_OTLP_TIMEOUT", "0"],
  ["OTEL_LOGS_EXPORTER", "console"],
  ["OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"],
  ["OTEL_TRACES_EXPORTER", "console"],
  ["OTEL_TRACES_SAMPLER", "sometimes"],
  ["OTEL_TRACES_SAMPLER_ARG", "1.5"],
  ["OTEL_BSP_MAX_QUEUE_SIZE", "-1"],
  ["OTEL_METRIC_EXPORT_INTERVAL", "soon"],
  ["OTEL_SDK_DISABLED", "yes"],
] as const) {
  test(`${name}=${value} is named once`, () => {
    const { problems } = parseOtlp({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://t", ...BASE, [name]: value });
    assert.equal(problems.length, 1, problems.join("; "));
    assert.match(problems[0] ?? "", new RegExp(`^${name} must be `));
    if (name.endsWith("HEADERS")) assert.equal(problems[0]?.includes(value), false);
  });
}
