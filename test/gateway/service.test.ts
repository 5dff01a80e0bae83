/** The gateway as a server: health, metrics, methods, and its bounds in number and time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { send, assertProblem, at, openGatewayHarness } from "../support/gateway-harness.ts";

const EVENT = { type: "a", data: 1 };
const never = (): Promise<never> => new Promise(() => undefined);

test("200 from /livez, /healthz, /readyz and /metrics without a key", async () => {
  await using harness = await openGatewayHarness();
  for (const [path, text] of [
    ["/livez", '"ok"'],
    ["/healthz", '"ok"'],
    ["/readyz", '"ready"'],
    ["/metrics", "posthaste_"],
  ] as const) {
    const answer = await harness.call("GET", path, { key: null });
    assert.equal(answer.status, 200);
    assert.ok(answer.text.includes(text), answer.text);
  }
  const metrics = await harness.call("GET", "/metrics", { key: null });
  assert.match(metrics.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
});

test("503 from /readyz from the very moment the server stops; /livez and requests go on", async () => {
  await using harness = await openGatewayHarness();
  harness.gateway.stop();
  assertProblem(await harness.call("GET", "/readyz", { key: null }), 503, "stopping");
  assert.equal((await harness.call("GET", "/livez", { key: null })).status, 200);
  assert.equal((await harness.call("POST", "/v1/events", { body: EVENT })).status, 202);
});

test("503 from /readyz when a store cannot be written, and when it does not answer", async () => {
  const faults: (() => Promise<string | null>)[] = [
    async () => "The disk is full.",
    () => Promise.reject(new Error("secret path")),
  ];
  for (const health of faults) {
    await using harness = await openGatewayHarness({ wrap: (drivers) => ({ ...drivers, health }) });
    const answer = await harness.call("GET", "/readyz", { key: null });
    assertProblem(answer, 503, "store-unavailable");
    assert.equal(answer.text.includes("secret"), false);
    assert.equal((await harness.call("GET", "/livez", { key: null })).status, 200);
  }
  await using harness = await openGatewayHarness({ wrap: (drivers) => ({ ...drivers, health: never }) });
  const waiting = harness.call("GET", "/readyz", { key: null });
  await harness.clock.advance(3000);
  assertProblem(await waiting, 503, "store-unavailable");
});

test("200 from /readyz while a part goes on, and the body names what does not", async () => {
  const degraded = () => Promise.resolve(["Redis does not answer. HIGH goes through Kafka."]);
  await using harness = await openGatewayHarness({ wrap: (drivers) => ({ ...drivers, degraded }) });
  const answer = await harness.call("GET", "/readyz", { key: null });
  assert.equal(answer.status, 200);
  assert.deepEqual(JSON.parse(answer.text), { status: "ready", degraded: await degraded() });
});

for (const [method, path, allow] of [
  ["PUT", "/v1/events", "GET, HEAD, OPTIONS, POST"],
  ["DELETE", "/v1/events/x", "GET, HEAD, OPTIONS"],
  ["GET", "/v1/events/batch/", null],
  ["PATCH", "/v1/events/batch", "GET, HEAD, OPTIONS, POST"],
  ["GET", "/v1/dead-letters/x/replay", "OPTIONS, POST"],
  ["POST", "/livez", "GET, HEAD, OPTIONS"],
  ["PROPFIND", "/v1/endpoints", "GET, HEAD, OPTIONS, POST"],
  ["GET", "/", null],
  ["GET", "/v2/events", null],
  ["GET", "/v1/events/a/b", null],
  ["POST", "/v1/endpoints//test", null],
] as const) {
  test(`${allow === null ? "404" : `405 with Allow: ${allow}`} for ${method} ${path}`, async () => {
    await using harness = await openGatewayHarness();
    const answer = await harness.call(method, path);
    if (allow === null) assertProblem(answer, 404, "not-found");
    else assertProblem(answer, 405, "method-not-allowed");
    assert.equal(answer.headers.get("allow"), allow);
  });
}

test("OPTIONS lists the methods of a path; HEAD answers as GET without a body", async () => {
  await using harness = await openGatewayHarness();
  const options = await harness.call("OPTIONS", "/v1/endpoints", { key: null });
  assert.deepEqual([options.status, options.headers.get("allow"), options.text], [204, "GET, HEAD, OPTIONS, POST", ""]);
  const head = await harness.call("HEAD", "/v1/endpoints");
  assert.deepEqual([head.status, head.headers.get("content-type"), head.text], [200, "application/json", ""]);
  assert.equal((await harness.call("HEAD", "/v1/endpoints", { key: null })).status, 401);
});

test("500 internal hides what went wrong, which is logged", async () => {
  await using harness = await openGatewayHarness({
    wrap: (drivers) => ({
      ...drivers,
      lanes: { ...drivers.lanes, append: () => Promise.reject(new TypeError("secret at /srv/x.ts:12")) },
    }),
  });
  const answer = await harness.call("POST", "/v1/events", { body: EVENT });
  assertProblem(answer, 500, "internal");
  assert.equal(/secret|TypeError|\.ts|stack/.test(answer.text), false);
  const line = harness.logged.find(({ event }) => event === "request.crashed");
  assert.match(String(line?.fields["error"]), /secret/);
});

test("500 also for what no route catches", async () => {
  await using harness = await openGatewayHarness({ collectMetrics: () => Promise.reject(new Error("secret")) });
  const answer = await harness.call("GET", "/metrics", { key: null });
  assertProblem(answer, 500, "internal");
  assert.equal(answer.text.includes("secret"), false);
});

test("429 past the requests that one key may have at work; health is answered all the same", async () => {
  let release = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  await using harness = await openGatewayHarness({
    limits: { inFlightMax: 4 },
    wrap: (drivers) => ({
      ...drivers,
      lanes: { ...drivers.lanes, append: (envelopes) => gate.then(() => drivers.lanes.append(envelopes)) },
    }),
  });
  const held = [
    harness.call("POST", "/v1/events", { body: EVENT }),
    harness.call("POST", "/v1/events", { body: EVENT }),
  ];
  await harness.clock.settle();
  const refused = await harness.call("POST", "/v1/events", { body: EVENT });
  assertProblem(refused, 429, "share-reached");
  assert.equal(refused.headers.get("retry-after"), "1");
  assert.equal((await harness.call("GET", "/livez")).status, 200);
  release();
  assert.deepEqual(
    (await Promise.all(held)).map(({ status }) => status),
    [202, 202],
  );
  assert.equal((await harness.call("POST", "/v1/events", { body: EVENT })).status, 202);
});

test("408 for a body that does not arrive in 10 s; nothing of it is taken, whatever came before", async () => {
  await using harness = await openGatewayHarness({ limits: { inFlightMax: 1 } });
  let isCancelled = false;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode(JSON.stringify(EVENT))),
    cancel: () => {
      isCancelled = true;
    },
  });
  const waiting = harness.call("POST", "/v1/events", { body });
  await harness.clock.advance(9999);
  await harness.clock.advance(1);
  assertProblem(await waiting, 408, "request-timeout");
  await harness.clock.settle();
  assert.equal(isCancelled, true);
  assert.equal((await harness.drivers.lanes.depth("medium")).count, 0);
  assert.equal((await harness.call("GET", "/v1/events")).status, 200, "its slot is free again");
});

test("503 with Retry-After when the store does not answer within the budget", async () => {
  await using harness = await openGatewayHarness({
    wrap: (drivers) => ({ ...drivers, lanes: { ...drivers.lanes, append: never } }),
  });
  const key = await harness.createKey({ rateLimit: { limit: 3, windowMs: 1000, failureMode: "local" } });
  const waiting = harness.call("POST", "/v1/events", { key, body: EVENT });
  await harness.clock.advance(10_000);
  const answer = await waiting;
  assertProblem(answer, 503, "store-unavailable");
  assert.equal(answer.headers.get("ratelimit"), '"default";r=2;t=1');
  assert.equal(answer.headers.get("retry-after"), "1");
});

test("a request whose time ran out before its append is not appended later", async () => {
  let release = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  await using harness = await openGatewayHarness({
    wrap: (drivers) => ({
      ...drivers,
      directory: { ...drivers.directory, version: (tenant) => gate.then(() => drivers.directory.version(tenant)) },
    }),
  });
  const waiting = harness.call("POST", "/v1/events", { body: EVENT });
  await harness.clock.advance(10_000);
  assert.equal((await waiting).status, 503);
  release();
  await harness.clock.settle();
  assert.equal((await harness.drivers.lanes.depth("medium")).count, 0);
});

test("a read whose time ran out while it waited for its turn is not begun later", async () => {
  const begun: (() => void)[] = [];
  await using harness = await openGatewayHarness({
    limits: { readsMax: 1 },
    wrap: (drivers) => ({
      ...drivers,
      ledger: {
        ...drivers.ledger,
        events: () => new Promise((resolve) => begun.push(() => resolve({ rows: [], next: null }))),
      },
    }),
  });
  const reads = [harness.call("GET", "/v1/events"), harness.call("GET", "/v1/events")];
  await harness.clock.advance(11_000);
  for (const answer of await Promise.all(reads)) assertProblem(answer, 503, "store-unavailable");
  begun[0]?.();
  await harness.clock.advance(1000);
  assert.equal(begun.length, 1);
});

test("no timer is left behind by an answered request", async () => {
  await using harness = await openGatewayHarness();
  const before = harness.clock.timerCount();
  await harness.call("GET", "/v1/events", { key: null });
  await harness.call("GET", "/readyz", { key: null });
  assert.equal(harness.clock.timerCount(), before);
});

test("what the URL carries besides the path is no concern: host, port, fragment", async () => {
  await using harness = await openGatewayHarness();
  for (const url of ["http://[::1]:8080/livez", "https://example.com/livez?x=1", "http://localhost/livez#part"]) {
    assert.equal((await harness.gateway.fetch(new Request(url))).status, 200, url);
  }
  const answer = await send(harness.gateway, "GET", "/v1/events?limit=1#x", { key: harness.operatorKey });
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(at(answer.json, "data"), []);
});
