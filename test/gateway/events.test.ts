/** Publishing one event: what is taken, what becomes of its bytes, and what the 202 says. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertNames, assertProblem, at, openGatewayHarness, textAt } from "../support/gateway-harness.ts";
import { START_MS } from "../support/samples.ts";

const EVENT = { type: "order.paid", data: { total: 12 } };
const TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const decoder = new TextDecoder();

test("202 answers with the id, the lane and where to look", async () => {
  await using harness = await openGatewayHarness();
  const answer = await harness.call("POST", "/v1/events", { body: EVENT });
  assert.equal(answer.status, 202, answer.text);
  assert.match(textAt(answer.json, "id"), /^evt_[0-9a-hjkmnp-tv-z]{26}$/);
  assert.equal(at(answer.json, "lane"), "medium");
  assert.equal(at(answer.json, "status_url"), `/v1/events/${textAt(answer.json, "id")}`);
});

test("202 means the event is in its lane, body built once", async () => {
  await using harness = await openGatewayHarness();
  const answer = await harness.call("POST", "/v1/events", { body: EVENT });
  const [envelope, ...others] = await harness.takeLane("medium");
  assert.equal(others.length, 0);
  assert.equal(envelope?.id, at(answer.json, "id"));
  assert.equal(envelope?.tenant, "default");
  assert.equal(envelope?.acceptedAtMs, START_MS);
  assert.equal(
    decoder.decode(envelope?.body),
    '{"type":"order.paid","timestamp":"2026-01-31T12:00:00.000Z","data":{"total":12}}',
  );
});

test("422 for a type of our own events, in each form of an event", async () => {
  await using harness = await openGatewayHarness();
  const type = "posthaste.endpoint.failing";
  const plain = await harness.call("POST", "/v1/events", { body: { ...EVENT, type } });
  assertProblem(plain, 422, "validation-failed");
  const ce = { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/a", "ce-type": type };
  const binary = await harness.call("POST", "/v1/events", { headers: ce, body: { total: 12 } });
  assertProblem(binary, 422, "validation-failed");
  const near = await harness.call("POST", "/v1/events", { body: { ...EVENT, type: "posthaste" } });
  assert.equal(near.status, 202, near.text);
});

for (const [priority, lane] of [
  ["HIGH", "high"],
  ["MEDIUM", "medium"],
  ["LOW", "low"],
] as const) {
  test(`202 puts ${priority} into the lane ${lane}`, async () => {
    await using harness = await openGatewayHarness();
    const answer = await harness.call("POST", "/v1/events", { body: { ...EVENT, priority } });
    assert.equal(at(answer.json, "lane"), lane);
    assert.equal((await harness.takeLane(lane)).length, 1);
  });
}

const texts: readonly (readonly [string, string])[] = [
  ["a number past the range of doubles", "1e400"],
  ["an integer past 2^53", "9007199254740993"],
  ["a zero behind the point", "1.0"],
  ["null", "null"],
  ["white space and repeated keys inside data", '{ "a" : 1,\n\t"a": 2 }'],
  ["escaped lone surrogates", String.raw`"\ud800 \udfff"`],
  ["a __proto__ member inside data", '{"__proto__":{"x":1}}'],
  ["brackets and quotes inside strings", String.raw`"]}\"{["`],
  ["an empty string", '""'],
  ["text beyond ASCII", '"Grüße 🎉"'],
];

for (const [name, data] of texts) {
  test(`202 carries data as it was written: ${name}`, async () => {
    await using harness = await openGatewayHarness();
    const answer = await harness.call("POST", "/v1/events", { body: `{"type":"a","data":${data}}` });
    assert.equal(answer.status, 202, answer.text);
    const [envelope] = await harness.takeLane("medium");
    assert.ok(decoder.decode(envelope?.body).endsWith(`,"data":${data}}`));
    const shown = await harness.call("GET", `${textAt(answer.json, "status_url")}?include=data`);
    assert.ok(shown.text.endsWith(`,"data":${data}}`), shown.text);
  });
}

test("202 takes an event's own id, timestamp and traceparent", async () => {
  await using harness = await openGatewayHarness();
  const body = { ...EVENT, id: "inv-1_a", timestamp: "2025-12-24T18:30:00.5+01:00" };
  const answer = await harness.call("POST", "/v1/events", { body, headers: { traceparent: TRACEPARENT } });
  assert.equal(at(answer.json, "id"), "inv-1_a");
  const [envelope] = await harness.takeLane("medium");
  assert.equal(envelope?.traceparent, TRACEPARENT);
  assert.ok(decoder.decode(envelope?.body).includes('"timestamp":"2025-12-24T17:30:00.500Z"'));
});

for (const value of [
  TRACEPARENT.replace("00-", "ff-"),
  TRACEPARENT.toUpperCase(),
  `00-${"0".repeat(32)}-00f067aa0ba902b7-01`,
  `00-4bf92f3577b34da6a3ce929d0e0e4736-${"0".repeat(16)}-01`,
  `${TRACEPARENT}-extra`,
  "nonsense",
]) {
  test(`202 ignores the invalid traceparent ${value}`, async () => {
    await using harness = await openGatewayHarness();
    await harness.call("POST", "/v1/events", { body: EVENT, headers: { traceparent: value } });
    const [envelope] = await harness.takeLane("medium");
    assert.equal(envelope?.traceparent, null);
  });
}

test("202 takes the tracestate of a valid traceparent, and no other", async () => {
  await using harness = await openGatewayHarness();
  const headers = { traceparent: TRACEPARENT, tracestate: "rojo=1 , congo=t61 x,," };
  for (const sent of [headers, { ...headers, traceparent: "nonsense" }, { ...headers, tracestate: "rojo" }]) {
    await harness.call("POST", "/v1/events", { body: EVENT, headers: sent });
  }
  const envelopes = await harness.takeLane("medium");
  assert.deepEqual(
    envelopes.map(({ tracestate }) => tracestate),
    ["rojo=1,congo=t61 x", null, null],
  );
});

test("202 with a deliver_at ahead keeps it; one in the past means at once", async () => {
  await using harness = await openGatewayHarness();
  await harness.call("POST", "/v1/events", { body: { ...EVENT, priority: "LOW", deliver_at: "2026-02-01T00:00:00Z" } });
  await harness.call("POST", "/v1/events", { body: { ...EVENT, deliver_at: "2026-01-01T00:00:00Z" } });
  assert.equal((await harness.takeLane("medium"))[0]?.deliverAtMs, null);
  assert.equal((await harness.takeLane("low"))[0]?.deliverAtMs, Date.UTC(2026, 1, 1));
});

test("422 for a deliver_at more than 30 days ahead", async () => {
  await using harness = await openGatewayHarness();
  const answer = await harness.call("POST", "/v1/events", { body: { ...EVENT, deliver_at: "2026-03-03T12:00:00Z" } });
  assertProblem(answer, 422, "validation-failed");
  assertNames(answer, "#/deliver_at");
});

test("the envelope carries the directory's version, so that fan-out reads the publisher's writes", async () => {
  await using harness = await openGatewayHarness();
  await harness.call("POST", "/v1/endpoints", { body: { url: "https://a.example/" } });
  await harness.call("POST", "/v1/events", { body: EVENT });
  const [envelope] = await harness.takeLane("medium");
  const known = harness.drivers.directory.peek(envelope?.tenant ?? "", 0);
  assert.equal(known?.endpoints.length, 1);
  assert.equal(envelope?.directoryVersion, known.version);
});

test("202 without a key or an id asks no claim and appends once", async () => {
  let claims = 0;
  let appends = 0;
  await using harness = await openGatewayHarness({
    wrap: (drivers) => ({
      ...drivers,
      claims: { ...drivers.claims, claim: (request) => (claims++, drivers.claims.claim(request)) },
      lanes: { ...drivers.lanes, append: (envelopes) => (appends++, drivers.lanes.append(envelopes)) },
    }),
  });
  await harness.call("POST", "/v1/events", { body: EVENT });
  assert.deepEqual([claims, appends], [0, 1]);
});

test("202 is counted in the tenant's stats", async () => {
  await using harness = await openGatewayHarness();
  await harness.call("POST", "/v1/events", { body: EVENT });
  await harness.drivers.flush();
  assert.deepEqual(await harness.drivers.stats.tenant("default"), { totalEvents: 1, byType: { "order.paid": 1 } });
});

for (const type of [
  "application/json",
  "application/json; charset=utf-8",
  'application/json;charset="UTF-8"',
  "application/json;",
  "APPLICATION/JSON",
]) {
  test(`202 takes the content type ${type}`, async () => {
    await using harness = await openGatewayHarness();
    const answer = await harness.call("POST", "/v1/events", { body: EVENT, headers: { "content-type": type } });
    assert.equal(answer.status, 202, answer.text);
  });
}

for (const type of [
  "text/plain",
  "application/json; charset=latin1",
  "application/xml",
  "application/json; version=2",
  "",
  "multipart/form-data",
]) {
  test(`415 for the content type "${type}"`, async () => {
    await using harness = await openGatewayHarness();
    const answer = await harness.call("POST", "/v1/events", {
      body: JSON.stringify(EVENT),
      headers: { "content-type": type },
    });
    assertProblem(answer, 415, "unsupported-media-type");
  });
}

test("202 for 256 KiB exactly, 413 for one byte more, by declared length and by stream", async () => {
  await using harness = await openGatewayHarness();
  const head = '{"type":"a","data":"';
  const fit = `${head}${"x".repeat(262_144 - head.length - 2)}"}`;
  const stream = (text: string) => new Blob([text]).stream();
  assert.equal((await harness.call("POST", "/v1/events", { body: stream(fit) })).status, 202);
  assertProblem(await harness.call("POST", "/v1/events", { body: stream(`${fit} `) }), 413, "body-too-large");
  const declared = { "content-length": "262145" };
  assertProblem(await harness.call("POST", "/v1/events", { body: EVENT, headers: declared }), 413, "body-too-large");
});

test("413 stops a stream at the bound instead of reading it all", async () => {
  await using harness = await openGatewayHarness();
  let pulled = 0;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      pulled += 1;
      controller.enqueue(new Uint8Array(65_536).fill(0x20));
    },
  });
  assertProblem(await harness.call("POST", "/v1/events", { body }), 413, "body-too-large");
  assert.ok(pulled < 12, `${pulled} chunks were read`);
});

test("an event that is durable is answered with 202 whatever the counts do", async () => {
  await using harness = await openGatewayHarness({
    wrap: (drivers) => ({
      ...drivers,
      stats: {
        ...drivers.stats,
        add() {
          throw new Error("the counts are away");
        },
      },
    }),
  });
  const answer = await harness.call("POST", "/v1/events", { body: EVENT });
  assert.equal(answer.status, 202, answer.text);
  assert.equal((await harness.takeLane("medium")).length, 1);
  assert.ok(harness.logged.some(({ event }) => event === "stats.not_counted"));
});
