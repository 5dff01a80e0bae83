/** Traces and metrics of the real command line, by OTLP to a collector in the test's process, or to one that is none. */
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { test } from "node:test";

import { documentedSpans } from "../support/documented-spans.ts";
import { openOtlpSink } from "../support/otlp-sink.ts";
import { listen, openReceiver } from "../support/receiver.ts";
import { waitFor } from "../support/services/wait-for.ts";
import { TEST_KEY, call, openFolder, spawnPosthaste, startServe } from "./posthaste-child.ts";
import { PARENT, TRACEPARENT, assertTrace, openFailingTwice, publishTraced, spansOfTrace } from "./trace-scenario.ts";

const SERVICES = { gateway: "posthaste", processor: "posthaste" } as const;

test("serve: a publish that fails twice and then succeeds is one connected trace, as documented", async () => {
  using folder = openFolder();
  await using sink = await openOtlpSink();
  await using receiver = await openFailingTwice();
  const otlp = {
    OTEL_EXPORTER_OTLP_ENDPOINT: sink.url,
    OTEL_BSP_SCHEDULE_DELAY: "50",
    OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
  };
  await using serving = await startServe(folder.path, otlp);
  const id = await publishTraced(serving.url, TEST_KEY, { receiver: receiver.url, priority: "HIGH", tenant: "acme" });
  const spans = await spansOfTrace(sink, PARENT.traceId);
  assertTrace(spans, { lane: "high", services: SERVICES, ...receiver });
  const shown = await call(serving.url, `/v1/events/${id}?tenant=acme`);
  assert.equal(shown.body["trace_id"], PARENT.traceId);
  assert.match(serving.printed.stdout, new RegExp(`"event":"delivery.delivered".*"trace_id":"${PARENT.traceId}"`));
  const resource = sink.resource();
  assert.match(String(resource["service.version"]), /^\d+\.\d+\.\d+/);
  assert.match(String(resource["service.instance.id"]), /^[0-9a-f-]{36}$/);
});

test("serve: a dead letter and its replay are linked to the event's trace", async () => {
  using folder = openFolder();
  await using sink = await openOtlpSink();
  await using receiver = await openReceiver((_request, response) => void response.writeHead(500).end());
  await using serving = await startServe(folder.path, {
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${sink.url}/v1/traces`,
    OTEL_BSP_SCHEDULE_DELAY: "50",
  });
  await call(serving.url, "/v1/endpoints", { url: receiver.url, retry: { delays_s: [0] } });
  const { body } = await call(serving.url, "/v1/events", { type: "a", data: 1 });
  const dead = "send dead-letter";
  const first = await sink.until((spans) => spans.some(({ name }) => name === dead));
  const fanOut = first.find(({ name }) => name.startsWith("process "));
  const listed = await call(serving.url, "/v1/dead-letters");
  const [letter] = listed.body["data"] as readonly { readonly id: string }[];
  const replayed = await call(serving.url, `/v1/dead-letters/${letter?.id}/replay`, {});
  assert.equal(replayed.status, 202, JSON.stringify(replayed.body));
  const spans = await sink.until((all) => all.filter(({ name }) => name === dead).length === 2);
  const replay = spans.find(({ name }) => name === "replay");
  assert.ok(replay !== undefined && fanOut !== undefined);
  assert.notEqual(replay.traceId, fanOut.traceId);
  assert.equal(replay.parentId, "");
  assert.ok(replay.links.some(({ traceId, spanId }) => traceId === fanOut.traceId && spanId === fanOut.spanId));
  const attempts = spans.filter(({ name }) => name === "POST");
  assert.deepEqual(
    attempts.map(({ parentId }) => parentId),
    [fanOut.spanId, replay.spanId],
  );
  const table = documentedSpans("medium");
  for (const name of [dead, "replay"]) {
    const span = spans.find((each) => each.name === name);
    for (const attribute of table.get(name)?.attributes ?? [""])
      assert.ok(attribute in (span?.attributes ?? {}), attribute);
  }
  const { parentId } = spans.find(({ name }) => name === dead) ?? { parentId: "" };
  assert.equal(parentId, attempts[0]?.spanId);
  assert.equal(attempts[0]?.attributes["posthaste.event.id"], body["id"]);
});

test("serve: metrics are exported under the names of /metrics", async () => {
  using folder = openFolder();
  await using sink = await openOtlpSink();
  await using serving = await startServe(folder.path, {
    OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `${sink.url}/v1/metrics`,
    OTEL_METRIC_EXPORT_INTERVAL: "50",
  });
  await call(serving.url, "/v1/events", { type: "a", data: 1 });
  for (const name of ["posthaste.events.accepted", "posthaste.queue.depth"]) {
    await waitFor({ fact: `the metric ${name}`, withinMs: 20_000, holds: () => sink.metricNames().has(name) });
  }
  assert.equal(sink.spans().length, 0);
});

test("what a problem says has the trace id, the caller's or one of its own", async () => {
  using folder = openFolder();
  await using serving = await startServe(folder.path);
  const ask = async (headers: Readonly<Record<string, string>>): Promise<unknown> => {
    const response = await fetch(`${serving.url}/v1/events`, { headers });
    return ((await response.json()) as Readonly<Record<string, unknown>>)["trace_id"];
  };
  assert.equal(await ask({ traceparent: TRACEPARENT }), PARENT.traceId);
  const [one, other] = [await ask({}), await ask({})];
  assert.match(String(one), /^[0-9a-f]{32}$/);
  assert.notEqual(one, other);
  const line = await serving.match(new RegExp(`.*"request.refused".*${String(other)}.*`));
  assert.ok(line[0].includes("trace_id"));
});

for (const [what, open] of [
  ["hangs", () => openHanging()],
  ["is absent", async () => ({ url: "http://127.0.0.1:9", [Symbol.asyncDispose]: () => Promise.resolve() })],
] as const) {
  test(`a collector that ${what}: events are delivered, spans lost, and the stop is bounded`, async () => {
    using folder = openFolder();
    await using collector = await open();
    await using receiver = await openReceiver((_request, response) => void response.end());
    await using serving = await startServe(folder.path, {
      OTEL_EXPORTER_OTLP_ENDPOINT: new URL(collector.url).origin,
      OTEL_EXPORTER_OTLP_TIMEOUT: "300",
      OTEL_BSP_SCHEDULE_DELAY: "10",
      OTEL_BSP_MAX_QUEUE_SIZE: "4",
    });
    await call(serving.url, "/v1/endpoints", { url: receiver.url });
    const events = Array.from({ length: 50 }, () => call(serving.url, "/v1/events", { type: "a", data: 1 }));
    for (const { status } of await Promise.all(events)) assert.equal(status, 202);
    await serving.match(/(?:"event":"delivery\.delivered"[^]*?){50}/);
    await serving.match(/"event":"spans\.not-exported"/);
    const metrics = await (await fetch(`${serving.url}/metrics`)).text();
    assert.match(metrics, /posthaste_spans_lost_total\{[^}]*why="queue-full"[^}]*\} [1-9]/);
    assert.match(metrics, /posthaste_spans_lost_total\{[^}]*why="not-exported"[^}]*\} [1-9]/);
    serving.kill("SIGTERM");
    // The program itself ends with 1 when its stop takes too long.
    assert.equal((await serving.exited).code, 0);
  });
}

test("wrong settings are named at the start, and only where something is exported", async () => {
  using folder = openFolder();
  const wrong = { OTEL_TRACES_SAMPLER: "sometimes", OTEL_EXPORTER_OTLP_PROTOCOL: "grpc", POSTHASTE_DATA: folder.path };
  await using refused = spawnPosthaste(["serve"], { ...wrong, OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318" });
  assert.equal((await refused.exited).code, 2);
  assert.match(refused.printed.stderr, /OTEL_TRACES_SAMPLER must be one of /);
  assert.match(refused.printed.stderr, /OTEL_EXPORTER_OTLP_PROTOCOL must be http\/protobuf/);
  await using serving = await startServe(folder.path, wrong);
  assert.equal((await call(serving.url, "/v1/events", { type: "a", data: 1 })).status, 202);
});

/** Takes connections and never answers. */
function openHanging() {
  const sockets = new Set<{ destroy(): void }>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => undefined));
  });
  return listen(server, () => {
    for (const socket of sockets) socket.destroy();
  });
}
