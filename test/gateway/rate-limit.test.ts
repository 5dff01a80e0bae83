/** The rate limit of a key: what it refuses, and its RateLimit header fields. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { PartlyAppended } from "@posthaste/shared/ports/lanes.ts";
import { assertNames, assertProblem, at, openGatewayHarness } from "../support/gateway-harness.ts";

const EVENT = { type: "a", data: 1 };

test("RateLimit-Policy and RateLimit stand on each answer of a limited key, success or not", async () => {
  await using harness = await openGatewayHarness();
  const key = await harness.createKey({
    tenant: "acme",
    rateLimit: { limit: 5, windowMs: 60_000, failureMode: "local" },
  });
  const answers = [
    await harness.call("POST", "/v1/events", { key, body: EVENT }),
    await harness.call("POST", "/v1/events", { key, body: "{" }),
    await harness.call("GET", "/v1/events/none", { key }),
    await harness.call("GET", "/v1/events?limit=x", { key }),
    await harness.call("DELETE", `/v1/endpoints/ep_${"0".repeat(26)}`, { key }),
  ];
  assert.deepEqual(
    answers.map(({ status }) => status),
    [202, 400, 404, 400, 404],
  );
  for (const [index, { headers }] of answers.entries()) {
    assert.equal(headers.get("ratelimit-policy"), '"default";q=5;w=60');
    assert.equal(headers.get("ratelimit"), `"default";r=${4 - index};t=60`);
  }
});

test("429 quota-exceeded past the limit, with Retry-After not before t; free again after the window", async () => {
  await using harness = await openGatewayHarness();
  const key = await harness.createKey({ rateLimit: { limit: 2, windowMs: 2500, failureMode: "local" } });
  const publish = () => harness.call("POST", "/v1/events", { key, body: EVENT });
  await publish();
  await harness.clock.advance(1000);
  await publish();
  const refused = await publish();
  assertProblem(refused, 429, "rate-limited");
  assert.equal(at(refused.json, "type"), "https://iana.org/assignments/http-problem-types#quota-exceeded");
  assert.deepEqual(at(refused.json, "violated-policies"), ["default"]);
  assert.equal(refused.headers.get("ratelimit-policy"), '"default";q=2;w=3');
  assert.equal(refused.headers.get("ratelimit"), '"default";r=0;t=2');
  assert.equal(refused.headers.get("retry-after"), "2");
  await harness.clock.advance(1500);
  assert.equal((await publish()).status, 202);
});

test("a window under a second shows as w=1, and Retry-After is at least 1", async () => {
  await using harness = await openGatewayHarness();
  const key = await harness.createKey({ rateLimit: { limit: 1, windowMs: 50, failureMode: "local" } });
  await harness.call("GET", "/v1/events", { key });
  const refused = await harness.call("GET", "/v1/events", { key });
  assert.equal(refused.headers.get("ratelimit-policy"), '"default";q=1;w=1');
  assert.equal(refused.headers.get("retry-after"), "1");
});

test("refused requests are not charged: knocking on does not lock out longer", async () => {
  await using harness = await openGatewayHarness();
  const key = await harness.createKey({ rateLimit: { limit: 1, windowMs: 1000, failureMode: "local" } });
  await harness.call("GET", "/v1/events", { key });
  for (let knock = 0; knock < 9; knock++) {
    await harness.clock.advance(100);
    assert.equal((await harness.call("GET", "/v1/events", { key })).status, 429);
  }
  await harness.clock.advance(100);
  assert.equal((await harness.call("GET", "/v1/events", { key })).status, 200);
});

test("401 and 403 are never charged, nor are 413 and 415", async () => {
  await using harness = await openGatewayHarness();
  const key = await harness.createKey({
    tenant: "acme",
    scopes: ["publish"],
    rateLimit: { limit: 1, windowMs: 1000, failureMode: "local" },
  });
  const wrongType = { "content-type": "text/plain" };
  assertProblem(await harness.call("GET", "/v1/events", { key }), 403, "missing-scope");
  assertProblem(await harness.call("POST", "/v1/events?tenant=beta", { key, body: EVENT }), 403, "wrong-tenant");
  assertProblem(
    await harness.call("POST", "/v1/events", { key, body: "x", headers: wrongType }),
    415,
    "unsupported-media-type",
  );
  assertProblem(
    await harness.call("POST", "/v1/events", { key, body: EVENT, headers: { "content-length": "999999" } }),
    413,
    "body-too-large",
  );
  const other = { "x-api-key": "y".repeat(30) };
  assertProblem(await harness.call("POST", "/v1/events", { key, body: EVENT, headers: other }), 401, "unauthenticated");
  const admitted = await harness.call("POST", "/v1/events", { key, body: EVENT });
  assert.equal(admitted.headers.get("ratelimit"), '"default";r=0;t=1');
});

test("a request refused by validation is charged", async () => {
  await using harness = await openGatewayHarness();
  const key = await harness.createKey({ rateLimit: { limit: 1, windowMs: 1000, failureMode: "local" } });
  assertProblem(await harness.call("POST", "/v1/events", { key, body: {} }), 422, "validation-failed");
  assertProblem(await harness.call("POST", "/v1/events", { key, body: EVENT }), 429, "rate-limited");
});

test("keys without a limit have no RateLimit fields; health has none either", async () => {
  await using harness = await openGatewayHarness();
  for (const path of ["/v1/events", "/livez"]) {
    const { headers } = await harness.call("GET", path);
    assert.equal(headers.get("ratelimit"), null);
    assert.equal(headers.get("ratelimit-policy"), null);
  }
});

test("limits are per key: one that is spent leaves the tenant's other alone", async () => {
  await using harness = await openGatewayHarness();
  const rateLimit = { limit: 1, windowMs: 1000, failureMode: "local" } as const;
  const [one, two] = [
    await harness.createKey({ tenant: "acme", rateLimit }),
    await harness.createKey({ tenant: "acme", rateLimit }),
  ];
  await harness.call("GET", "/v1/events", { key: one });
  assert.equal((await harness.call("GET", "/v1/events", { key: one })).status, 429);
  assert.equal((await harness.call("GET", "/v1/events", { key: two })).status, 200);
});

test("a batch of n costs n, all or nothing", async () => {
  await using harness = await openGatewayHarness();
  const key = await harness.createKey({ rateLimit: { limit: 5, windowMs: 1000, failureMode: "local" } });
  const batch = (count: number) =>
    harness.call("POST", "/v1/events/batch", { key, body: { events: Array.from({ length: count }, () => EVENT) } });
  const first = await batch(3);
  assert.equal(first.headers.get("ratelimit"), '"default";r=2;t=1');
  assertProblem(await batch(3), 429, "rate-limited");
  assert.equal((await harness.drivers.lanes.depth("medium")).count, 3);
  // The refused one cost nothing, so what was left is still there.
  const last = await batch(2);
  assert.deepEqual([last.status, last.headers.get("ratelimit")], [200, '"default";r=0;t=1']);
});

test("422 instead of an endless 429 for a batch that no window can grant", async () => {
  await using harness = await openGatewayHarness();
  const key = await harness.createKey({ rateLimit: { limit: 2, windowMs: 1000, failureMode: "local" } });
  const answer = await harness.call("POST", "/v1/events/batch", { key, body: { events: [EVENT, EVENT, EVENT] } });
  assertProblem(answer, 422, "validation-failed");
  assertNames(answer, "#/events");
});

test("a batch that is refused as a whole costs nothing, and after Retry-After of a 429 it is granted", async () => {
  await using harness = await openGatewayHarness();
  const key = await harness.createKey({ rateLimit: { limit: 4, windowMs: 5000, failureMode: "local" } });
  const batch = (body: unknown) => harness.call("POST", "/v1/events/batch", { key, body });
  const of = (count: number) => ({ events: Array.from({ length: count }, () => EVENT) });
  const noJson = '{"events":[{"type":"order.paid","data":1},{"type":oops}]}';
  for (const body of ["{", noJson, { events: [] }, { events: [EVENT], more: 1 }, of(5)]) {
    assert.ok((await batch(body)).status >= 400);
  }
  await harness.clock.advance(500);
  assert.equal((await batch(of(3))).status, 200);
  await harness.clock.advance(1500);
  for (let knock = 0; knock < 20; knock++) assert.equal((await batch(of(2))).status, 429);
  const refused = await batch(of(2));
  assert.equal((await harness.call("POST", "/v1/events", { key, body: EVENT })).status, 202, "single events go on");
  await harness.clock.advance(Number(refused.headers.get("retry-after")) * 1000);
  assert.equal((await batch(of(2))).status, 200);
});

test("a batch that is answered 503, 409 or 422 as a whole gives back what it was charged, and says so", async () => {
  let append: "well" | "fails" | "waits" = "well";
  const gate = Promise.withResolvers<void>();
  await using harness = await openGatewayHarness({
    wrap: (drivers) => ({
      ...drivers,
      lanes: {
        ...drivers.lanes,
        append: async (envelopes) => {
          if (append === "fails") throw new PosthasteError("store-unavailable", "Away.");
          if (append === "waits") await gate.promise;
          return drivers.lanes.append(envelopes);
        },
      },
    }),
  });
  const key = await harness.createKey({ rateLimit: { limit: 5, windowMs: 60_000, failureMode: "local" } });
  const batch = (count: number, idempotencyKey: string) => {
    const body = { events: Array.from({ length: count }, () => EVENT) };
    return harness.call("POST", "/v1/events/batch", { key, body, headers: { "idempotency-key": idempotencyKey } });
  };
  append = "fails";
  for (let time = 0; time < 3; time++) {
    const refused = await batch(4, "a");
    assertProblem(refused, 503, "store-unavailable");
    assert.equal(refused.headers.get("ratelimit"), '"default";r=5;t=0');
  }
  append = "waits";
  const first = batch(2, "a");
  await harness.clock.settle();
  const inFlight = await batch(2, "a");
  assertProblem(inFlight, 409, "request-in-flight");
  assert.equal(inFlight.headers.get("ratelimit"), '"default";r=3;t=60');
  append = "well";
  gate.resolve();
  assert.equal((await first).status, 200);
  assertProblem(await batch(3, "a"), 422, "idempotency-mismatch");
  assert.equal((await batch(3, "b")).headers.get("ratelimit"), '"default";r=0;t=60');
});

test("of a batch of which a part could not be stored, that part is given back", async () => {
  await using harness = await openGatewayHarness({
    wrap: (drivers) => ({
      ...drivers,
      lanes: {
        ...drivers.lanes,
        append: async (envelopes) => {
          await drivers.lanes.append(envelopes.slice(1));
          throw new PartlyAppended(new Map(envelopes.slice(0, 1).map((envelope) => [envelope, new Error("away")])));
        },
      },
    }),
  });
  const key = await harness.createKey({ rateLimit: { limit: 5, windowMs: 60_000, failureMode: "local" } });
  const answer = await harness.call("POST", "/v1/events/batch", { key, body: { events: [EVENT, EVENT, EVENT] } });
  assert.equal(answer.status, 200, answer.text);
  assert.equal(at(answer.json, "data.0.status"), 500);
  assert.equal(answer.headers.get("ratelimit"), '"default";r=3;t=60');
});
