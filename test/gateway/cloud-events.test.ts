/** CloudEvents 1.0, binary and structured: attributes, percent-encoding, and the same CloudEvent twice. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertNames, assertProblem, at, openGatewayHarness, textAt } from "../support/gateway-harness.ts";

const HEADERS = { "ce-specversion": "1.0", "ce-id": "A-1", "ce-source": "/shop", "ce-type": "com.example.order.paid" };
const STRUCTURED = { specversion: "1.0", id: "A-1", source: "/shop", type: "com.example.order.paid", data: { n: 1 } };
const JSON_CE = { "content-type": "application/cloudevents+json; charset=utf-8" };
const decoder = new TextDecoder();

test("202 for a binary CloudEvent: the body is the data, the attributes are headers", async () => {
  await using harness = await openGatewayHarness();
  const extra = { "ce-time": "2026-01-01T00:00:00Z", "ce-priority": "HIGH", "ce-subject": "x", "ce-unknownext": "y" };
  const answer = await harness.call("POST", "/v1/events", { body: '{"n":1e400}', headers: { ...HEADERS, ...extra } });
  assert.equal(answer.status, 202, answer.text);
  const [envelope] = await harness.takeLane("high");
  assert.equal(envelope?.type, "com.example.order.paid");
  assert.equal(
    decoder.decode(envelope?.body),
    '{"type":"com.example.order.paid","timestamp":"2026-01-01T00:00:00.000Z","data":{"n":1e400}}',
  );
});

test("202 for a structured CloudEvent, its data as it was written", async () => {
  await using harness = await openGatewayHarness();
  const body =
    '{"specversion":"1.0","id":"A-1","source":"/shop","type":"a.b","datacontenttype":"application/json","x":1,"subject":null,"data": 1.0 }';
  const answer = await harness.call("POST", "/v1/events", { body, headers: JSON_CE });
  assert.equal(answer.status, 202, answer.text);
  const [envelope] = await harness.takeLane("medium");
  assert.ok(decoder.decode(envelope?.body).endsWith('"data":1.0}'));
});

test("the same CloudEvent twice is one event, also once binary and once structured", async () => {
  await using harness = await openGatewayHarness();
  const first = await harness.call("POST", "/v1/events", { body: '{"n":1}', headers: HEADERS });
  const second = await harness.call("POST", "/v1/events", { body: '{"n":1}', headers: HEADERS });
  const third = await harness.call("POST", "/v1/events", { body: STRUCTURED, headers: JSON_CE });
  assert.match(textAt(first.json, "id"), /^ce_[0-9a-hjkmnp-tv-z]{32}$/);
  assert.deepEqual([second.text, second.headers.get("idempotent-replayed")], [first.text, "true"]);
  assert.deepEqual([third.text, third.headers.get("idempotent-replayed")], [first.text, "true"]);
  assert.equal((await harness.takeLane("medium")).length, 1);
});

test("another source or another id is another event; other data under the same name is 409", async () => {
  await using harness = await openGatewayHarness();
  const publish = (headers: Record<string, string>, body = '{"n":1}') =>
    harness.call("POST", "/v1/events", { body, headers: { ...HEADERS, ...headers } });
  const ids = [await publish({}), await publish({ "ce-source": "/shop2" }), await publish({ "ce-id": "A-2" })];
  assert.equal(new Set(ids.map(({ json }) => at(json, "id"))).size, 3);
  assertProblem(await publish({}, '{"n":2}'), 409, "id-conflict");
});

test("source and id cannot be shifted into one another", async () => {
  await using harness = await openGatewayHarness();
  const one = await harness.call("POST", "/v1/events", {
    body: "1",
    headers: { ...HEADERS, "ce-source": "a", "ce-id": "b%0Ac" },
  });
  const two = await harness.call("POST", "/v1/events", {
    body: "1",
    headers: { ...HEADERS, "ce-source": "a%0Ab", "ce-id": "c" },
  });
  assert.notEqual(textAt(one.json, "id"), textAt(two.json, "id"));
});

test("values are percent-decoded and unquoted before they are compared", async () => {
  await using harness = await openGatewayHarness();
  const body = { ...STRUCTURED, source: 'Zürich "1"' };
  const first = await harness.call("POST", "/v1/events", { body, headers: JSON_CE });
  const encoded = { ...HEADERS, "ce-source": "Z%C3%BCrich%20%221%22", "ce-id": '"A-1"' };
  const second = await harness.call("POST", "/v1/events", { body: '{"n":1}', headers: encoded });
  assert.equal(second.text, first.text);
});

for (const [value, why] of [
  ["%", "a lone percent sign"],
  ["%zz", "no hex"],
  ["%ff", "bytes that are no UTF-8"],
  ["%C3", "half a character"],
  ["\u00fc", "a raw byte past ASCII"],
] as const) {
  test(`400 names the header with ${why}`, async () => {
    await using harness = await openGatewayHarness();
    const answer = await harness.call("POST", "/v1/events", {
      body: "1",
      headers: { ...HEADERS, "ce-subject": value },
    });
    assertProblem(answer, 400, "invalid-header");
    assertNames(answer, "ce-subject");
  });
}

for (const missing of Object.keys(HEADERS)) {
  test(`422 names the missing ${missing}`, async () => {
    await using harness = await openGatewayHarness();
    const headers = Object.fromEntries(Object.entries(HEADERS).filter(([name]) => name !== missing));
    const answer = await harness.call("POST", "/v1/events", { body: "1", headers });
    assertProblem(answer, 422, "validation-failed");
    assertNames(answer, missing);
  });
}

const attributes: readonly (readonly [string, unknown])[] = [
  ["specversion", "0.3"],
  ["specversion", 1],
  ["id", ""],
  ["id", 7],
  ["id", "x".repeat(1025)],
  ["source", ""],
  ["type", "a b"],
  ["type", 1],
  ["time", "now"],
  ["priority", "urgent"],
  ["tenant", "a/b"],
  ["deliverat", "soon"],
  ["deliverat", "2026-06-01T00:00:00Z"],
  ["datacontenttype", "text/xml"],
  ["data_base64", "AA=="],
];
for (const [name, value] of attributes) {
  test(`422 names the attribute ${name} for ${JSON.stringify(value).slice(0, 30)}`, async () => {
    await using harness = await openGatewayHarness();
    const answer = await harness.call("POST", "/v1/events", {
      body: { ...STRUCTURED, [name]: value },
      headers: JSON_CE,
    });
    assertProblem(answer, 422, "validation-failed");
    assertNames(answer, `#/${name}`);
  });
}

test("422 for a structured CloudEvent without data; null will do", async () => {
  await using harness = await openGatewayHarness();
  const { data: _, ...without } = STRUCTURED;
  const answer = await harness.call("POST", "/v1/events", { body: without, headers: JSON_CE });
  assertProblem(answer, 422, "validation-failed");
  assertNames(answer, "#/data");
  const withNull = await harness.call("POST", "/v1/events", { body: { ...without, data: null }, headers: JSON_CE });
  assert.equal(withNull.status, 202);
});

test("415 for a batch of CloudEvents and for binary data that is not JSON", async () => {
  await using harness = await openGatewayHarness();
  for (const type of ["application/cloudevents-batch+json", "application/cloudevents+avro", "text/plain"]) {
    const answer = await harness.call("POST", "/v1/events", {
      body: "[]",
      headers: { ...HEADERS, "content-type": type },
    });
    assertProblem(answer, 415, "unsupported-media-type");
  }
});

test("400 for a binary CloudEvent whose data is not JSON or too deep", async () => {
  await using harness = await openGatewayHarness();
  assertProblem(await harness.call("POST", "/v1/events", { body: "{", headers: HEADERS }), 400, "invalid-json");
  const deep = `${"[".repeat(64)}${"]".repeat(64)}`;
  assertProblem(await harness.call("POST", "/v1/events", { body: deep, headers: HEADERS }), 400, "too-deep");
});

test("400 for a structured CloudEvent with a repeated member", async () => {
  await using harness = await openGatewayHarness();
  const body = `${JSON.stringify(STRUCTURED).slice(0, -1)},"id":"B"}`;
  assertProblem(await harness.call("POST", "/v1/events", { body, headers: JSON_CE }), 400, "invalid-json");
});

test("422 for a structured CloudEvent that is no object", async () => {
  await using harness = await openGatewayHarness();
  for (const body of ["[]", "null", '"x"', "1"]) {
    assertProblem(await harness.call("POST", "/v1/events", { body, headers: JSON_CE }), 422, "validation-failed");
  }
});

test("the extension tenant is held to the key's tenant", async () => {
  await using harness = await openGatewayHarness();
  const key = await harness.createKey({ tenant: "acme" });
  const headers = { ...HEADERS, "ce-tenant": "beta" };
  assertProblem(await harness.call("POST", "/v1/events", { key, body: "1", headers }), 403, "wrong-tenant");
  assert.equal((await harness.call("POST", "/v1/events", { body: "1", headers })).status, 202);
  assert.equal((await harness.takeLane("medium"))[0]?.tenant, "beta");
});

test("an Idempotency-Key counts the attributes in headers as part of the request", async () => {
  await using harness = await openGatewayHarness();
  const headers = { ...HEADERS, "idempotency-key": "k" };
  await harness.call("POST", "/v1/events", { body: "1", headers });
  const again = await harness.call("POST", "/v1/events", { body: "1", headers });
  assert.equal(again.headers.get("idempotent-replayed"), "true");
  const other = await harness.call("POST", "/v1/events", { body: "1", headers: { ...headers, "ce-id": "A-2" } });
  assertProblem(other, 422, "idempotency-mismatch");
});
