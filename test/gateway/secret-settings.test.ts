/** Settings that are written and never shown: headers change one by one, and follow no URL to another origin. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SECRET_OVERLAP_MS } from "@posthaste/shared/domain/endpoint.ts";
import type { GatewayHarness } from "../support/gateway-harness.ts";
import { assertNames, assertProblem, at, openGatewayHarness, textAt } from "../support/gateway-harness.ts";

const PATH = "/v1/endpoints";
const URL_ONE = "https://one.example/hooks";

async function createOne(harness: GatewayHarness, parts: object = {}): Promise<string> {
  const answer = await harness.call("POST", PATH, { body: { url: URL_ONE, ...parts } });
  assert.equal(answer.status, 201, answer.text);
  return textAt(answer.json, "id");
}

const headersOf = async (harness: GatewayHarness, id: string) =>
  (await harness.drivers.directory.find("default", id))?.headers;

test("PATCH headers changes what it names alone, in any case; null removes one; headers: null all", async () => {
  await using harness = await openGatewayHarness();
  const id = await createOne(harness, { headers: { Authorization: "Bearer a", "x-b": "b", "x-c": "c" } });
  const patch = (headers: unknown) => harness.call("PATCH", `${PATH}/${id}`, { body: { headers } });
  const answer = await patch({ "X-B": "new", "x-c": null, "x-none": null });
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(at(answer.json, "headers"), { authorization: "***", "x-b": "***" });
  assert.deepEqual(await headersOf(harness, id), { authorization: "Bearer a", "x-b": "new" });
  assert.equal((await patch({})).status, 200);
  assert.deepEqual(await headersOf(harness, id), { authorization: "Bearer a", "x-b": "new" });
  const more = Object.fromEntries(Array.from({ length: 19 }, (_, index) => [`y-${index}`, "1"]));
  assertNames(await patch(more), "#/headers");
  assert.equal((await patch({ ...more, "x-b": null })).status, 200);
  assert.equal((await patch(null)).status, 200);
  assert.deepEqual(await headersOf(harness, id), {});
});

test("422 for the mask as a value, so a view that is sent back changes nothing", async () => {
  await using harness = await openGatewayHarness();
  for (const mask of ["***", " ***", "***  "]) {
    const body = { url: URL_ONE, headers: { "x-a": mask } };
    assertNames(await harness.call("POST", PATH, { body }), "#/headers/x-a");
  }
  const id = await createOne(harness, { headers: { "x-a": "secret" } });
  const shown = at((await harness.call("GET", `${PATH}/${id}`)).json, "headers");
  const answer = await harness.call("PATCH", `${PATH}/${id}`, { body: { headers: shown } });
  assertProblem(answer, 422, "validation-failed");
  assertNames(answer, "#/headers/x-a");
  assert.deepEqual(await headersOf(harness, id), { "x-a": "secret" });
  assertNames(await harness.call("POST", `${PATH}/${id}/rotate-secret`, { body: { secret: "***" } }), "#/secret");
});

test("422 names header names that differ by case, at creation and in a change", async () => {
  await using harness = await openGatewayHarness();
  const headers = { "x-token": "a", "X-Token": "b" };
  assertNames(await harness.call("POST", PATH, { body: { url: URL_ONE, headers } }), "#/headers/X-Token");
  const id = await createOne(harness);
  assertNames(
    await harness.call("PATCH", `${PATH}/${id}`, { body: { headers: { ...headers, "X-Token": null } } }),
    "#/headers/X-Token",
  );
});

for (const name of ["Content-Encoding", "Transfer-Encoding", "content-length", "Host", "Connection", "content-range"]) {
  test(`422 for ${name}, which frames or codes the message; null still removes it`, async () => {
    await using harness = await openGatewayHarness();
    const answer = await harness.call("POST", PATH, { body: { url: URL_ONE, headers: { [name]: "gzip" } } });
    assertProblem(answer, 422, "validation-failed");
    assertNames(answer, `#/headers/${name}`);
    const id = await createOne(harness);
    const patch = (value: string | null) =>
      harness.call("PATCH", `${PATH}/${id}`, { body: { headers: { [name]: value } } });
    assertNames(await patch("x"), `#/headers/${name}`);
    assert.equal((await patch(null)).status, 200);
  });
}

test("422 for a URL of another origin until each header is given again or removed", async () => {
  const vetted: string[] = [];
  await using harness = await openGatewayHarness({ vet: (url) => (vetted.push(url), { kind: "allowed" }) });
  const id = await createOne(harness, { headers: { authorization: "Bearer a", "x-b": "b" } });
  const patch = (body: object) => harness.call("PATCH", `${PATH}/${id}`, { body });
  const before = vetted.length;
  for (const url of ["https://evil.example/hooks", "https://one.example:8443/", "http://one.example/hooks"]) {
    const refused = await patch({ url });
    assertProblem(refused, 422, "validation-failed");
    assert.equal(at(refused.json, "errors.0.pointer"), "#/headers/authorization");
    assert.equal(at(refused.json, "errors.1.pointer"), "#/headers/x-b");
    assertNames(await patch({ url, headers: { Authorization: "Bearer a" } }), "#/headers/x-b");
  }
  assert.equal(vetted.length, before, "no name is looked up for what is refused");
  assert.equal((await patch({ url: "https://one.example:443/other?x=1" })).status, 200, "the same origin");
  assert.deepEqual(await headersOf(harness, id), { authorization: "Bearer a", "x-b": "b" });
  const moved = await patch({ url: "https://two.example/", headers: { authorization: "Bearer 2", "x-b": null } });
  assert.equal(moved.status, 200, moved.text);
  assert.deepEqual(await headersOf(harness, id), { authorization: "Bearer 2" });
  assert.equal((await patch({ url: URL_ONE, headers: null })).status, 200);
  assert.deepEqual(await headersOf(harness, id), {});
});

test("409 for a rotation that would end a secret before its promised time, with the time from which it goes", async () => {
  await using harness = await openGatewayHarness();
  const id = await createOne(harness);
  const rotate = () => harness.call("POST", `${PATH}/${id}/rotate-secret`);
  const promised: number[] = [];
  for (let count = 0; count < 2; count++) {
    const answer = await rotate();
    promised.push(Date.parse(textAt(answer.json, "previous_expires_at")));
    await harness.clock.advance(1000);
  }
  const refused = await rotate();
  assertProblem(refused, 409, "conflict");
  assert.match(textAt(refused.json, "detail"), new RegExp(new Date(promised[0] ?? 0).toISOString()));
  assert.equal(refused.headers.get("retry-after"), String(SECRET_OVERLAP_MS / 1000 - 2));
  const endpoint = await harness.drivers.directory.find("default", id);
  assert.deepEqual(
    endpoint?.secrets.map(({ expiresAtMs }) => expiresAtMs),
    [null, promised[1], promised[0]],
  );
  await harness.clock.advance(Number(refused.headers.get("retry-after")) * 1000);
  assert.equal((await rotate()).status, 200);
});

const twice: readonly (readonly [string, string, string, string])[] = [
  ["POST", PATH, `{"url":"${URL_ONE}","url":"https://two.example/"}`, "#/url"],
  ["POST", PATH, `{"url":"${URL_ONE}","headers":{"x-a":"1","x-a":"2"}}`, "#/headers/x-a"],
  ["POST", PATH, `{"url":"${URL_ONE}","retry":{"delays_s":[1],"delays_s":[2]}}`, "#/retry/delays_s"],
  ["POST", PATH, `{"url":"${URL_ONE}","description":"a","descripti\\u006fn":"b"}`, "#/description"],
  ["POST", "/v1/api-keys", '{"name":"a","scopes":["read"],"scopes":["publish"]}', "#/scopes"],
  ["POST", "/v1/dead-letters/replay", '{"tenant":"a","dry_run":true,"dry_run":false}', "#/dry_run"],
  ["POST", "/v1/events", '{"type":"a","type":"b","data":1}', "#/type"],
  ["POST", "/v1/events/batch", '{"events":[],"events":[]}', "#/events"],
];
for (const [method, path, body, pointer] of twice) {
  test(`400 names ${pointer}, given twice to ${path}`, async () => {
    await using harness = await openGatewayHarness();
    const answer = await harness.call(method, path, { body });
    assertProblem(answer, 400, "invalid-json");
    assertNames(answer, pointer);
  });
}

test("400 for a member given twice in a change and a rotation; data may hold what it likes", async () => {
  await using harness = await openGatewayHarness();
  const one = `${PATH}/${await createOne(harness)}`;
  assertNames(await harness.call("PATCH", one, { body: '{"paused":true,"paused":false}' }), "#/paused");
  const secrets = '{"secret":"a","secret":"b"}';
  assertNames(await harness.call("POST", `${one}/rotate-secret`, { body: secrets }), "#/secret");
  const event = '{"type":"a","data":{"n":1,"n":2}}';
  assert.equal((await harness.call("POST", "/v1/events", { body: event })).status, 202);
});

const LONE = String.raw`\ud800`;
const odd: readonly (readonly [string, string, string])[] = [
  [PATH, `{"url":"https://one.example:0/"}`, "#/url"],
  [PATH, `{"url":"http://one.example:00000/hooks"}`, "#/url"],
  [PATH, `{"url":"https://one.example/${LONE}"}`, "#/url"],
  [PATH, `{"url":"${URL_ONE}","description":"a${LONE}b"}`, "#/description"],
  [PATH, String.raw`{"url":"https://one.example/","description":"a\u0000b"}`, "#/description"],
  ["/v1/api-keys", `{"name":"${LONE}"}`, "#/name"],
  ["/v1/api-keys", String.raw`{"name":"\udc00x"}`, "#/name"],
  ["/v1/api-keys", '{"name":"a","expires_at":"9999-12-31T23:59:59-01:00"}', "#/expires_at"],
  ["/v1/api-keys", '{"name":"a","expires_at":"2030-06-30T23:59:60Z"}', "#/expires_at"],
  ["/v1/events", '{"type":"a","data":1,"timestamp":"2016-12-31T23:59:60Z"}', "#/timestamp"],
  ["/v1/events", '{"type":"a","data":1,"timestamp":"9999-12-31T23:59:59-00:01"}', "#/timestamp"],
  ["/v1/events", '{"type":"a","data":1,"timestamp":"0000-01-01T00:00:00+00:01"}', "#/timestamp"],
  ["/v1/events", '{"type":"a","data":1,"timestamp":"2026-01-01T00:00:00+24:00"}', "#/timestamp"],
  ["/v1/events", '{"type":"a","data":1,"deliver_at":"9999-12-31T23:59:59-23:59"}', "#/deliver_at"],
];
for (const [path, body, pointer] of odd) {
  test(`422 names ${pointer} of ${body}`, async () => {
    await using harness = await openGatewayHarness();
    const answer = await harness.call("POST", path, { body });
    assertProblem(answer, 422, "validation-failed");
    assertNames(answer, pointer);
  });
}

test("the first and the last instant that RFC 3339 can write come back as they were given", async () => {
  await using harness = await openGatewayHarness();
  for (const timestamp of ["0000-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"]) {
    await harness.call("POST", "/v1/events", { body: { type: "a", data: 1, timestamp } });
    const [envelope] = await harness.takeLane("medium");
    assert.equal(at(JSON.parse(new TextDecoder().decode(envelope?.body)), "timestamp"), timestamp);
  }
});

test("whatever is sent, a problem stays small: long names and values are named and not sent back", async () => {
  await using harness = await openGatewayHarness();
  const id = await createOne(harness);
  const long = "n".repeat(60_000);
  const deep = `${`{"${"d".repeat(900)}":`.repeat(60)}1${"}".repeat(60)}`;
  const bodies: readonly (readonly [string, string, string, Readonly<Record<string, string>>?])[] = [
    ["POST", "/v1/events", `{"type":"a","data":1,"${"n".repeat(240_000)}":1}`],
    ["POST", "/v1/events", `{"${"é".repeat(120_000)}":1}`],
    ["POST", "/v1/events", `{"type":"a","${"n".repeat(100_000)}":1,"${"n".repeat(100_000)}":2,"data":1}`],
    ["POST", "/v1/events", `{"type":"${long}","data":1}`],
    ["POST", "/v1/events", `{"type":"a","data":1,"tenant":"${long}"}`],
    ["POST", "/v1/events/batch", `{"${long}":1}`],
    ["POST", "/v1/events/batch", `{"events":[],"${long}":1,"${long}":2}`],
    ["POST", "/v1/events/batch", `{"events":[{"type":"a","data":1,"${long}":1}]}`],
    ["POST", PATH, `{"url":"${URL_ONE}","${long}":1}`],
    ["POST", PATH, `{"url":"${URL_ONE}","headers":{"${long}":"x"}}`],
    ["POST", PATH, `{"url":"https://one.example/${long}"}`],
    ["POST", PATH, deep],
    ["PATCH", `${PATH}/${id}`, `{"${long}":1,"${long}":2}`],
    ["PATCH", `${PATH}/${id}`, `{"${long}":{"__proto__":1}}`],
    ["POST", "/v1/api-keys", `{"name":"a","scopes":["${long}"]}`],
    ["POST", "/v1/events", "1", { "idempotency-key": "k".repeat(8000) }],
    ["POST", "/v1/events", "1", { [`ce-${"x".repeat(8000)}`]: "%", "ce-id": "1" }],
    ["POST", "/v1/events", "1", { "content-type": `text/${"x".repeat(8000)}` }],
    ["GET", `/v1/events?${"q".repeat(4000)}=1`, ""],
    ["GET", `/v1/events?type=${"q".repeat(4000)}`, ""],
    ["GET", `/v1/events/${"q".repeat(4000)}`, ""],
    ["GET", `/v1/endpoints/${"q".repeat(4000)}`, ""],
  ];
  for (const [method, path, body, headers] of bodies) {
    const wish = method === "GET" ? {} : { body, ...(headers === undefined ? {} : { headers }) };
    const answer = await harness.call(method, path, wish);
    const problem = at(answer.json, "data.0.problem") ?? answer.json;
    const status = Number(at(problem, "status"));
    assert.ok(status >= 400 && status < 500, `${path}: ${answer.text.slice(0, 200)}`);
    assert.ok(answer.text.length < 2500, `${path}: ${answer.text.length} characters`);
  }
});
