/**
 * One trace across processes, at OpenTelemetry's own collector: a gateway takes the event, a processor that never saw the
 * gateway's spans delivers it.
 */
import assert from "node:assert/strict";
import { test } from "node:test";

import { openReceiver } from "../support/receiver.ts";
import { startCollector } from "../support/services/collector.ts";
import { waitFor } from "../support/services/wait-for.ts";
import { openDistributedHarness } from "./distributed-harness.ts";
import { PARENT, assertTrace, openFailingTwice, publishTraced, spansOfTrace } from "./trace-scenario.ts";

const SERVICES = { gateway: "posthaste-gateway", processor: "posthaste-processor" } as const;

for (const priority of ["HIGH", "MEDIUM", "LOW"]) {
  test(`${priority}: a publish that fails twice and then succeeds is one connected trace, as documented`, async () => {
    await using collector = await startCollector();
    await using receiver = await openFailingTwice();
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: "50" };
    await using harness = await openDistributedHarness({ gateways: 1, processors: 1, env });
    const [gateway] = harness.gateways;
    assert.ok(gateway !== undefined);
    const wish = { receiver: receiver.url, priority, tenant: `t-${priority}` };
    const id = await publishTraced(gateway.url, harness.operatorKey, wish);
    const spans = await spansOfTrace(collector, PARENT.traceId);
    const { traceparents, tracestates } = receiver;
    assertTrace(spans, { lane: priority.toLowerCase(), services: SERVICES, traceparents, tracestates });
    const shown = await harness.ask(0, `/v1/events/${id}?tenant=${wish.tenant}`);
    assert.equal(shown.body["trace_id"], PARENT.traceId);
  });
}

test("log lines go to the collector as well where that is asked for, found by the trace of their event", async () => {
  await using collector = await startCollector();
  await using receiver = await openFailingTwice();
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_LOGS_EXPORTER: "otlp",
    OTEL_BLRP_SCHEDULE_DELAY: "50",
  };
  await using harness = await openDistributedHarness({ gateways: 1, processors: 1, env });
  const [gateway] = harness.gateways;
  const [processor] = harness.processors;
  assert.ok(gateway !== undefined && processor !== undefined);
  const wish = { receiver: receiver.url, priority: "HIGH", tenant: "logged" };
  const id = await publishTraced(gateway.url, harness.operatorKey, wish);
  const ofEvent = () => collector.logs().filter(({ traceId }) => traceId === PARENT.traceId);
  await waitFor({
    fact: "the last line of the event at the collector",
    withinMs: 30_000,
    holds: () => ofEvent().some(({ name }) => name === "delivery.delivered"),
  });
  const seen = ofEvent().map(({ service, name, severity, severityNumber, attributes }) => [
    service,
    name,
    severity,
    severityNumber,
    attributes["event_id"],
    attributes["attempt"],
    attributes["trace_id"],
  ]);
  const of = [SERVICES.processor, "delivery.retrying", "info", 9, id] as const;
  assert.deepEqual(seen, [
    [...of, 1, undefined],
    [...of, 2, undefined],
    [...of.with(1, "delivery.delivered"), 3, undefined],
  ]);
  // What a person reads on the standard output has the same lines.
  const lines = processor.printed().split("\n");
  assert.equal(lines.filter((line) => line.includes(PARENT.traceId)).length, seen.length);
  const names = new Set(collector.logs().map(({ service, name }) => `${service} ${name}`));
  assert.ok(names.has(`${SERVICES.processor} processor.listening`), [...names].join(", "));
});

test("a collector that hangs, is killed and comes back: deliveries go on, and spans go out again", async () => {
  await using collector = await startCollector();
  await using receiver = await openReceiver((_request, response) => void response.end());
  await using harness = await openDistributedHarness({
    gateways: 1,
    processors: 1,
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_TIMEOUT: "500",
      OTEL_BSP_SCHEDULE_DELAY: "50",
      OTEL_METRIC_EXPORT_INTERVAL: "1000",
    },
  });
  await harness.ask(0, "/v1/endpoints", { url: receiver.url });
  const deliver = async (type: string): Promise<void> => {
    const { status, body } = await harness.ask(0, "/v1/events", { type, data: 1, priority: "HIGH" });
    assert.equal(status, 202);
    await waitFor({
      fact: `${type} to be delivered`,
      withinMs: 20_000,
      holds: async () => (await harness.ask(0, `/v1/events/${String(body["id"])}`)).body["state"] === "delivered",
    });
  };
  const isTraced = (type: string) =>
    collector.until((spans) => spans.some(({ attributes }) => attributes["posthaste.event.type"] === type));
  await deliver("while.well");
  await isTraced("while.well");
  collector.service.freeze();
  await deliver("while.hanging");
  await collector.service.kill();
  await deliver("while.away");
  await collector.service.restart();
  await deliver("when.back");
  await isTraced("when.back");
  await waitFor({
    fact: "metrics of both processes",
    withinMs: 20_000,
    holds: () =>
      ["posthaste.events.accepted", "posthaste.deliveries"].every((name) => collector.metricNames().has(name)),
  });
});
