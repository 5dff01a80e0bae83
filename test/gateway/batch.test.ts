/** Many events in one request: one result for each, in order; what is valid is taken whatever the rest is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ErrorCode } from "@posthaste/shared/domain/errors.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { assertNames, assertProblem, at, openGatewayHarness } from "../support/gateway-harness.ts";

const PATH = "/v1/events/batch";
const EVENT = { type: "a", data: 1 };
const statuses = (json: unknown): unknown[] => {
  const data = at(json, "data");
  assert.ok(Array.isArray(data), JSON.stringify(json));
  return data.map((row) => at(row, "status"));
};

test("200 with a 202 for each event, in order, each in the lane of its priority", async () => {
  await using harness = await openGatewayHarness();
  const events = ["HIGH", "LOW", "MEDIUM"].map((priority) => ({ ...EVENT, priority }));
  const answer = await harness.call("POST", PATH, { body: { events } });
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(statuses(answer.json), [202, 202, 202]);
  for (const [index, lane] of (["high", "low", "medium"] as const).entries()) {
    const [envelope] = await harness.takeLane(lane);
    assert.equal(at(answer.json, `data.${index}.lane`), lane);
    assert.equal(at(answer.json, `data.${index}.id`), envelope?.id);
    assert.equal(at(answer.json, `data.${index}.status_url`), `/v1/events/${envelope?.id}`);
  }
});

test("200 takes the valid ones in one append, and says of each other what is wrong", async () => {
  const appends: number[] = [];
  await using harness = await openGatewayHarness({
    wrap: (drivers) => ({
      ...drivers,
      lanes: {
        ...drivers.lanes,
        append: (envelopes) => {
          appends.push(envelopes.length);
          return drivers.lanes.append(envelopes);
        },
      },
    }),
  });
  const large = JSON.stringify({ type: "a", data: "x".repeat(262_144) });
  const items = [
    '{"type":"a","data":1e400}',
    '{"type":1,"data":1}',
    "7",
    '{"type":"a","type":"b","data":1}',
    large,
    '{"type":"b","data":null}',
  ];
  const answer = await harness.call("POST", PATH, { body: `{"events":[${items.join(" , ")}]}` });
  assert.deepEqual(statuses(answer.json), [202, 422, 422, 400, 413, 202]);
  assert.deepEqual(appends, [2]);
  assert.equal(at(answer.json, "data.1.problem.errors.0.pointer"), "#/events/1/type");
  assert.equal(at(answer.json, "data.3.problem.code"), "invalid-json");
  assert.equal(at(answer.json, "data.4.problem.code"), "body-too-large");
  assert.equal(at(answer.json, "data.0.problem"), undefined);
  const bodies = (await harness.takeLane("medium")).map(({ body }) => new TextDecoder().decode(body));
  assert.ok(bodies.some((body) => body.endsWith('"data":1e400}')));
});

test("200 with nothing valid appends nothing", async () => {
  await using harness = await openGatewayHarness();
  const answer = await harness.call("POST", PATH, { body: { events: [{}, null] } });
  assert.deepEqual(statuses(answer.json), [422, 422]);
  assert.equal((await harness.drivers.lanes.depth("medium")).count, 0);
});

const wholes: readonly (readonly [string, string, number, ErrorCode])[] = [
  ["an empty list", '{"events":[]}', 422, "validation-failed"],
  ["no list", "{}", 422, "validation-failed"],
  ["events that are no list", '{"events":{}}', 422, "validation-failed"],
  ["events null", '{"events":null}', 422, "validation-failed"],
  ["a list alone", "[]", 422, "validation-failed"],
  ["an unknown field", '{"events":[{"type":"a","data":1}],"atomic":true}', 422, "validation-failed"],
  ["a __proto__ field", '{"events":[{"type":"a","data":1}],"__proto__":1}', 422, "validation-failed"],
  ["events twice", '{"events":[],"events":[]}', 400, "invalid-json"],
  ["truncated JSON", '{"events":[{"type":"a","data":1}', 400, "invalid-json"],
  ["1,001 events", `{"events":[${Array.from({ length: 1001 }, () => "{}").join()}]}`, 422, "validation-failed"],
  ["depth 67", `{"events":[{"type":"a","data":${"[".repeat(64)}${"]".repeat(64)}}]}`, 400, "too-deep"],
];
for (const [name, body, status, code] of wholes) {
  test(`${status} for a batch with ${name}`, async () => {
    await using harness = await openGatewayHarness();
    assertProblem(await harness.call("POST", PATH, { body }), status, code);
  });
}

test("413 past 4 MiB, 415 for CloudEvents", async () => {
  await using harness = await openGatewayHarness();
  const large = `{"events":[${JSON.stringify({ ...EVENT, data: "x".repeat(4 * 1024 * 1024) })}]}`;
  assertProblem(await harness.call("POST", PATH, { body: large }), 413, "body-too-large");
  const headers = { "content-type": "application/cloudevents+json" };
  assertProblem(await harness.call("POST", PATH, { body: "{}", headers }), 415, "unsupported-media-type");
});

test("200 for 1,000 events, each with its own id", async () => {
  await using harness = await openGatewayHarness();
  const events = Array.from({ length: 1000 }, (_, index) => ({ ...EVENT, data: index }));
  const answer = await harness.call("POST", PATH, { body: { events } });
  const ids = new Set(events.map((_, index) => at(answer.json, `data.${index}.id`)));
  assert.equal(ids.size, 1000);
  assert.equal((await harness.takeLane("medium")).length, 1000);
});

test("an item may be nested as deep as a single event", async () => {
  await using harness = await openGatewayHarness();
  const item = `{"type":"a","data":${"[".repeat(63)}${"]".repeat(63)}}`;
  const answer = await harness.call("POST", PATH, { body: `{"events":[${item}]}` });
  assert.deepEqual(statuses(answer.json), [202]);
});

test("items with ids of their own are claimed one by one", async () => {
  await using harness = await openGatewayHarness();
  await harness.call("POST", "/v1/events", { body: { ...EVENT, id: "a" } });
  const events = [
    { ...EVENT, id: "a" },
    { ...EVENT, id: "a", data: 2 },
    { ...EVENT, id: "b" },
    { ...EVENT, id: "b" },
    { ...EVENT, id: "b", data: 3 },
  ];
  const answer = await harness.call("POST", PATH, { body: { events } });
  assert.deepEqual(statuses(answer.json), [202, 409, 202, 202, 409]);
  assert.equal(at(answer.json, "data.0.idempotent_replayed"), true);
  assert.equal(at(answer.json, "data.1.problem.code"), "id-conflict");
  assert.equal(at(answer.json, "data.2.idempotent_replayed"), undefined);
  assert.equal(at(answer.json, "data.3.idempotent_replayed"), true);
  assert.equal((await harness.takeLane("medium")).length, 2);
  const again = await harness.call("POST", PATH, { body: { events: [{ ...EVENT, id: "b" }] } });
  assert.equal(at(again.json, "data.0.idempotent_replayed"), true);
});

test("200 for the same key and batch is the first answer", async () => {
  await using harness = await openGatewayHarness();
  const wish = { body: { events: [EVENT, {}, { ...EVENT, id: "c" }] }, headers: { "idempotency-key": "batch-1" } };
  const first = await harness.call("POST", PATH, wish);
  const second = await harness.call("POST", PATH, wish);
  assert.deepEqual([second.status, second.text], [200, first.text]);
  assert.equal(second.headers.get("idempotent-replayed"), "true");
  assert.equal((await harness.takeLane("medium")).length, 2);
  const other = await harness.call("POST", PATH, { ...wish, body: { events: [EVENT] } });
  assertProblem(other, 422, "idempotency-mismatch");
});

test("503 when the append fails gives all claims up; the batch repeated makes the same events", async () => {
  const ids: string[][] = [];
  await using harness = await openGatewayHarness({
    wrap: (drivers) => ({
      ...drivers,
      lanes: {
        ...drivers.lanes,
        append: async (envelopes) => {
          ids.push(envelopes.map(({ id }) => id));
          if (ids.length === 1) throw new PosthasteError("overloaded", "The lane is full.");
          return drivers.lanes.append(envelopes);
        },
      },
    }),
  });
  const wish = { body: { events: [EVENT, { ...EVENT, id: "d" }] }, headers: { "idempotency-key": "batch-2" } };
  assertProblem(await harness.call("POST", PATH, wish), 503, "overloaded");
  assert.deepEqual(statuses((await harness.call("POST", PATH, wish)).json), [202, 202]);
  assert.deepEqual(ids[0], ids[1]);
});

test("503 when one claim cannot be made appends nothing and gives the others up", async () => {
  let isDown = true;
  await using harness = await openGatewayHarness({
    wrap: (drivers) => ({
      ...drivers,
      claims: {
        ...drivers.claims,
        claim: (request) =>
          isDown && request.key === "id:y"
            ? Promise.reject(new PosthasteError("store-unavailable", "Away."))
            : drivers.claims.claim(request),
      },
    }),
  });
  const wish = { body: { events: [{ ...EVENT, id: "x" }, { ...EVENT, id: "y" }, EVENT] } };
  assertProblem(await harness.call("POST", PATH, wish), 503, "store-unavailable");
  assert.equal((await harness.drivers.lanes.depth("medium")).count, 0);
  isDown = false;
  assert.deepEqual(statuses((await harness.call("POST", PATH, wish)).json), [202, 202, 202]);
});

test("an operator's batch may hold several tenants; a tenant's only its own", async () => {
  await using harness = await openGatewayHarness();
  const events = [{ ...EVENT, tenant: "acme" }, { ...EVENT, tenant: "beta" }, EVENT];
  const answer = await harness.call("POST", PATH, { body: { events } });
  assert.deepEqual(statuses(answer.json), [202, 202, 202]);
  assert.match(String(at(answer.json, "data.0.status_url")), /\?tenant=acme$/);
  assert.deepEqual((await harness.takeLane("medium")).map(({ tenant }) => tenant).toSorted(), [
    "acme",
    "beta",
    "default",
  ]);
  const key = await harness.createKey({ tenant: "acme" });
  const own = await harness.call("POST", PATH, { key, body: { events } });
  assert.deepEqual(statuses(own.json), [202, 403, 202]);
  assert.equal(at(own.json, "data.1.problem.code"), "wrong-tenant");
  assert.deepEqual(
    (await harness.takeLane("medium")).map(({ tenant }) => tenant),
    ["acme", "acme"],
  );
});

test("422 when an item and the query name different tenants", async () => {
  await using harness = await openGatewayHarness();
  const answer = await harness.call("POST", `${PATH}?tenant=acme`, {
    body: { events: [{ ...EVENT, tenant: "beta" }, EVENT] },
  });
  assert.deepEqual(statuses(answer.json), [422, 202]);
  assert.equal((await harness.takeLane("medium"))[0]?.tenant, "acme");
});

test("422 names the unknown field of a batch", async () => {
  await using harness = await openGatewayHarness();
  assertNames(await harness.call("POST", PATH, { body: { events: [EVENT], retry: 1 } }), "#/retry");
});
