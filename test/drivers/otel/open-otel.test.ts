/** What others record by OpenTelemetry's own interface is exported beside ours. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SpanStatusCode, trace } from "@opentelemetry/api";
import { parseOtlp } from "@posthaste/shared/domain/otlp-config.ts";
import { openOtel } from "@posthaste/shared/drivers/otel/open-otel.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { silentLog } from "@posthaste/shared/telemetry/log.ts";
import { openOtlpSink } from "../../support/otlp-sink.ts";

test("spans of OpenTelemetry's own tracer are exported, under the same resource", async () => {
  await using sink = await openOtlpSink();
  const { otlp: config } = parseOtlp({ OTEL_EXPORTER_OTLP_ENDPOINT: sink.url });
  const attributes = { "service.name": "embedding" };
  await using otel = openOtel({ clock: systemClock, log: silentLog, config: { ...config, metrics: null }, attributes });
  assert.ok(otel.spans !== null);
  const tracer = trace.getTracer("of-others");
  tracer.startActiveSpan("outer", (outer) => {
    const inner = tracer.startSpan("inner", { attributes: { count: 3 } });
    inner.addEvent("halfway").setStatus({ code: SpanStatusCode.ERROR, message: "no luck" }).end();
    outer.end();
  });
  const spans = await sink.until((seen) => seen.length === 2);
  const [inner, outer] = ["inner", "outer"].map((name) => spans.find((span) => span.name === name));
  assert.deepEqual(
    [inner?.service, inner?.kind, inner?.isError, outer?.isError],
    ["embedding", "INTERNAL", true, false],
  );
  assert.deepEqual([inner?.attributes, inner?.events], [{ count: "3" }, ["halfway"]]);
  assert.equal(inner?.traceId, outer?.traceId);
  assert.deepEqual([inner?.parentId, outer?.parentId], [outer?.spanId, ""]);
});
