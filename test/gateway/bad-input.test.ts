/** What is refused before anything happens: each problem with its status, its code and the name of the place. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ErrorCode } from "@posthaste/shared/domain/errors.ts";
import type { Answer, GatewayHarness } from "../support/gateway-harness.ts";
import { assertNames, assertProblem, at, openGatewayHarness, textAt } from "../support/gateway-harness.ts";

const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
const bytes = (...parts: (string | number[])[]): Uint8Array =>
  new Uint8Array(parts.flatMap((part) => (typeof part === "string" ? [...new TextEncoder().encode(part)] : part)));

async function assertNothingHappened(harness: GatewayHarness, answer: Answer): Promise<void> {
  for (const lane of ["high", "medium", "low"] as const)
    assert.equal((await harness.drivers.lanes.depth(lane)).count, 0);
  assert.equal(
    harness.logged.some(({ event }) => event === "request.crashed"),
    false,
    answer.text,
  );
}

const bodies: readonly (readonly [string, string | Uint8Array, number, ErrorCode])[] = [
  ["an empty body", "", 400, "invalid-json"],
  ["white space alone", " \n ", 400, "invalid-json"],
  ["truncated JSON", '{"type":"a","data":', 400, "invalid-json"],
  ["two JSON texts", '{"type":"a","data":1} {}', 400, "invalid-json"],
  ["a trailing comma", '{"type":"a","data":1,}', 400, "invalid-json"],
  ["a byte order mark", '\uFEFF{"type":"a","data":1}', 400, "invalid-json"],
  ["a control character in a string", '{"type":"a","data":"\u0001"}', 400, "invalid-json"],
  ["NaN", '{"type":"a","data":NaN}', 400, "invalid-json"],
  ["single quotes", "{'type':'a','data':1}", 400, "invalid-json"],
  ["a repeated member", '{"type":"a","data":1,"data":2}', 400, "invalid-json"],
  ["a member repeated by escape", String.raw`{"type":"a","data":1,"d\u0061ta":2}`, 400, "invalid-json"],
  ["invalid UTF-8", bytes('{"type":"a","data":"', [0xff], '"}'), 400, "invalid-utf8"],
  ["an overlong UTF-8 form", bytes('{"type":"a","data":"', [0xc0, 0xaf], '"}'), 400, "invalid-utf8"],
  ["a UTF-8 encoded surrogate", bytes('{"type":"a","data":"', [0xed, 0xa0, 0x80], '"}'), 400, "invalid-utf8"],
  ["UTF-8 cut within a character", bytes('{"type":"a","data":"', [0xe2, 0x82]), 400, "invalid-utf8"],
  ["UTF-16", bytes([0xff, 0xfe, 0x7b, 0, 0x7d, 0]), 400, "invalid-utf8"],
  ["depth 65", `{"type":"a","data":${nested(64)}}`, 400, "too-deep"],
  ["depth 100,000 of lists", nested(100_000), 400, "too-deep"],
  ["depth 40,000 of objects, never closed", '{"a":'.repeat(40_000), 400, "too-deep"],
  ["a string", '"event"', 422, "validation-failed"],
  ["null", "null", 422, "validation-failed"],
  ["a list", "[]", 422, "validation-failed"],
  ["a list of an event", '[{"type":"a","data":1}]', 422, "validation-failed"],
  ["a number", "1e999", 422, "validation-failed"],
];

for (const [name, body, status, code] of bodies) {
  test(`${status} for ${name} as an event`, async () => {
    await using harness = await openGatewayHarness();
    const answer = await harness.call("POST", "/v1/events", { body });
    assertProblem(answer, status, code);
    await assertNothingHappened(harness, answer);
  });
}

test("202 for depth 64", async () => {
  await using harness = await openGatewayHarness();
  const answer = await harness.call("POST", "/v1/events", { body: `{"type":"a","data":${nested(63)}}` });
  assert.equal(answer.status, 202, answer.text);
});

test("400 for a repeated member names it", async () => {
  await using harness = await openGatewayHarness();
  const answer = await harness.call("POST", "/v1/events", { body: '{"type":"a","data":1,"id":"x","id":"y"}' });
  assertProblem(answer, 400, "invalid-json");
  assertNames(answer, "#/id");
});

const ok = { type: "order.paid", data: 1 };
const fields: readonly (readonly [unknown, string])[] = [
  [{ data: 1 }, "#/type"],
  [{ type: "a" }, "#/data"],
  [{ ...ok, type: 5 }, "#/type"],
  [{ ...ok, type: null }, "#/type"],
  [{ ...ok, type: "" }, "#/type"],
  [{ ...ok, type: "a..b" }, "#/type"],
  [{ ...ok, type: ".a" }, "#/type"],
  [{ ...ok, type: "a b" }, "#/type"],
  [{ ...ok, type: "a\n" }, "#/type"],
  [{ ...ok, type: "rechnung.bezahlt.ü" }, "#/type"],
  [{ ...ok, type: "x".repeat(129) }, "#/type"],
  [{ ...ok, priority: "high" }, "#/priority"],
  [{ ...ok, priority: 1 }, "#/priority"],
  [{ ...ok, priority: null }, "#/priority"],
  [{ ...ok, id: "" }, "#/id"],
  [{ ...ok, id: "a.b" }, "#/id"],
  [{ ...ok, id: "x".repeat(65) }, "#/id"],
  [{ ...ok, id: 12 }, "#/id"],
  [{ ...ok, tenant: "a/b" }, "#/tenant"],
  [{ ...ok, tenant: "" }, "#/tenant"],
  [{ ...ok, tenant: ["a"] }, "#/tenant"],
  [{ ...ok, timestamp: "yesterday" }, "#/timestamp"],
  [{ ...ok, timestamp: "2026-01-31" }, "#/timestamp"],
  [{ ...ok, timestamp: "2026-13-31T12:00:00Z" }, "#/timestamp"],
  [{ ...ok, timestamp: 1_769_860_800 }, "#/timestamp"],
  [{ ...ok, deliver_at: "2026-01-31T12:00:00" }, "#/deliver_at"],
  [{ ...ok, deliver_at: {} }, "#/deliver_at"],
  [{ ...ok, payload: 1 }, "#/payload"],
  [{ ...ok, "a/b~c d": 1 }, "#/a~1b~0c%20d"],
  [{ ...ok, constructor: 1 }, "#/constructor"],
];

for (const [body, pointer] of fields) {
  test(`422 names ${pointer} of the event ${JSON.stringify(body).slice(0, 80)}`, async () => {
    await using harness = await openGatewayHarness();
    const answer = await harness.call("POST", "/v1/events", { body });
    assertProblem(answer, 422, "validation-failed");
    assertNames(answer, pointer);
    await assertNothingHappened(harness, answer);
  });
}

test("422 for a __proto__ member, which changes nothing", async () => {
  await using harness = await openGatewayHarness();
  const body = '{"type":"a","data":1,"__proto__":{"priority":"HIGH"}}';
  const answer = await harness.call("POST", "/v1/events", { body });
  assertProblem(answer, 422, "validation-failed");
  assertNames(answer, "#/__proto__");
  assert.equal(Reflect.get({}, "priority"), undefined);
});

test("422 with a lone surrogate in a member's name still answers", async () => {
  await using harness = await openGatewayHarness();
  const answer = await harness.call("POST", "/v1/events", { body: String.raw`{"type":"a","data":1,"\ud800":1}` });
  assertProblem(answer, 422, "validation-failed");
});

test("422 names all problems at once, with the remedy for each", async () => {
  await using harness = await openGatewayHarness();
  const answer = await harness.call("POST", "/v1/events", { body: { type: 1, priority: "x", id: "." } });
  const errors = at(answer.json, "errors");
  assert.ok(Array.isArray(errors));
  assert.deepEqual(
    new Set(errors.map((error) => at(error, "pointer"))),
    new Set(["#/data", "#/id", "#/priority", "#/type"]),
  );
  assert.match(textAt(answer.json, "detail"), /and 3 more/);
});

const keys: readonly string[] = [
  '""',
  '"a',
  'a"b',
  "a b",
  "ü",
  `"${"x".repeat(256)}"`,
  "x".repeat(256),
  '"a\\n"',
  '"a", "b"',
];
for (const key of keys) {
  test(`400 for the Idempotency-Key ${key.slice(0, 20)}`, async () => {
    await using harness = await openGatewayHarness();
    const answer = await harness.call("POST", "/v1/events", { body: ok, headers: { "idempotency-key": key } });
    assertProblem(answer, 400, "invalid-header");
    assertNames(answer, "idempotency-key");
  });
}

for (const length of ["-1", "1e3", "0x10", "12, 13", "99999999999999999999"]) {
  test(`400 for the Content-Length ${length}`, async () => {
    await using harness = await openGatewayHarness();
    const answer = await harness.call("POST", "/v1/events", { body: ok, headers: { "content-length": length } });
    assertProblem(answer, 400, "invalid-header");
    assertNames(answer, "content-length");
  });
}

const queries: readonly (readonly [string, string, ErrorCode])[] = [
  ["/v1/events?limit=0", "limit", "invalid-query"],
  ["/v1/events?limit=101", "limit", "invalid-query"],
  ["/v1/events?limit=ten", "limit", "invalid-query"],
  ["/v1/events?limit=", "limit", "invalid-query"],
  ["/v1/events?limit=1&limit=2", "limit", "invalid-query"],
  ["/v1/events?since=today", "since", "invalid-query"],
  ["/v1/events?until=2026-02-30T25:00:00Z", "until", "invalid-query"],
  ["/v1/events?type=a..b", "type", "invalid-query"],
  ["/v1/events?tenant=a%2Fb", "tenant", "invalid-query"],
  ["/v1/events?page=2", "page", "invalid-query"],
  ["/v1/events?%00=1", "\u0000", "invalid-query"],
  ["/v1/events/evt_1?include=body", "include", "invalid-query"],
  ["/v1/dead-letters?state=lost", "state", "invalid-query"],
  ["/v1/dead-letters?endpoint_id=7", "endpoint_id", "invalid-query"],
  ["/v1/endpoints?order=asc", "order", "invalid-query"],
];
for (const [path, parameter, code] of queries) {
  test(`400 names the query parameter of ${path}`, async () => {
    await using harness = await openGatewayHarness();
    const answer = await harness.call("GET", path);
    assertProblem(answer, 400, code);
    assertNames(answer, parameter);
  });
}

for (const [time, detail] of [
  ["2026-11-27T10:00:00+01:00", "has a space before its offset; write + as %2B"],
  ["2026-02-30T10:00:00Z", "must be a time that exists"],
  ["2026-11-27T10:00:60Z", "must not be a leap second; give the second before or after"],
  ["9999-12-31T23:59:59-00:01", "must lie in the years 0000 to 9999 in UTC"],
] as const) {
  test(`${time} in a query is refused for one reason: ${detail}`, async () => {
    await using harness = await openGatewayHarness();
    for (const name of ["since", "until"]) {
      const answer = await harness.call("GET", `/v1/events?${name}=${time}`);
      assert.deepEqual(at(answer.json, "errors"), [{ detail, parameter: name }]);
    }
    if (time.includes("+")) return;
    const answer = await harness.call("POST", "/v1/events", { body: { type: "a", data: 1, timestamp: time } });
    assert.deepEqual(at(answer.json, "errors"), [{ detail, pointer: "#/timestamp" }]);
  });
}

for (const path of ["/v1/events", "/v1/endpoints", "/v1/dead-letters", "/v1/api-keys"]) {
  test(`422 for cursors of ${path} that were never given out`, async () => {
    await using harness = await openGatewayHarness();
    for (const cursor of ["", "x", "%00", "e30", "x".repeat(513), "ZTo5OTk5OTk5OTk5OTk5OTk5OTk6MQ", "-1"]) {
      const answer = await harness.call("GET", `${path}?cursor=${cursor}`);
      assertProblem(answer, 422, "invalid-cursor");
      assert.equal(at(answer.json, "errors.0.parameter"), "cursor");
    }
  });
}

test("400 for a query longer than 4,096 characters", async () => {
  await using harness = await openGatewayHarness();
  assertProblem(await harness.call("GET", `/v1/events?type=${"a".repeat(5000)}`), 400, "invalid-query");
});

test("400 for a body that breaks off", async () => {
  await using harness = await openGatewayHarness();
  const body = new ReadableStream({ start: (controller) => controller.error(new Error("reset")) });
  assertProblem(await harness.call("POST", "/v1/events", { body }), 400, "invalid-json");
});
