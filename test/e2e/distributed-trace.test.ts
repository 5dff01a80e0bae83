/** One trace across processes: a gateway takes the event, a processor that never saw the gateway's spans delivers it. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { openOtlpSink } from "../support/otlp-sink.ts";
import { openDistributedHarness } from "./distributed-harness.ts";
import { PARENT, assertTrace, openFailingTwice, publishTraced, spansOfTrace } from "./trace-scenario.ts";

const SERVICES = { gateway: "posthaste-gateway", processor: "posthaste-processor" } as const;

for (const priority of ["HIGH", "MEDIUM", "LOW"]) {
  test(`${priority}: a publish that fails twice and then succeeds is one connected trace, as documented`, async () => {
    await using sink = await openOtlpSink();
    await using receiver = await openFailingTwice();
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: sink.url, OTEL_BSP_SCHEDULE_DELAY: "50" };
    await using harness = await openDistributedHarness({ gateways: 1, processors: 1, env });
    const [gateway] = harness.gateways;
    assert.ok(gateway !== undefined);
    const wish = { receiver: receiver.url, priority, tenant: `t-${priority}` };
    const id = await publishTraced(gateway.url, harness.operatorKey, wish);
    const spans = await spansOfTrace(sink, PARENT.traceId);
    const { traceparents } = receiver;
    assertTrace(spans, { lane: priority.toLowerCase(), services: SERVICES, traceparents });
    const shown = await harness.ask(0, `/v1/events/${id}?tenant=${wish.tenant}`);
    assert.equal(shown.body["trace_id"], PARENT.traceId);
  });
}
