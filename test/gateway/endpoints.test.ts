/** Endpoints: create, show, change, rotate, test, remove. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SECRET_OVERLAP_MS } from "@posthaste/shared/domain/endpoint.ts";
import type { GatewayHarness } from "../support/gateway-harness.ts";
import { assertNames, assertProblem, at, openGatewayHarness, textAt } from "../support/gateway-harness.ts";
import { START_MS } from "../support/samples.ts";

const PATH = "/v1/endpoints";
const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const URL_ONE = "https://one.example/hooks";

async function createOne(harness: GatewayHarness, body: object = {}): Promise<string> {
  const answer = await harness.call("POST", PATH, { body: { url: URL_ONE, ...body } });
  assert.equal(answer.status, 201, answer.text);
  return textAt(answer.json, "id");
}

test("201 shows the endpoint, its secret once, and where it is", async () => {
  await using harness = await openGatewayHarness();
  const answer = await harness.call("POST", PATH, { body: { url: "HTTPS://One.Example" } });
  assert.equal(answer.status, 201, answer.text);
  assert.match(textAt(answer.json, "id"), /^ep_[0-9a-hjkmnp-tv-z]{26}$/);
  assert.match(textAt(answer.json, "secret"), /^whsec_[A-Za-z0-9+/]{42,}={0,2}$/);
  assert.equal(at(answer.json, "url"), "https://one.example/");
  assert.deepEqual(at(answer.json, "event_types"), ["*"]);
  assert.equal(at(answer.json, "status"), "active");
  assert.equal(answer.headers.get("location"), `${PATH}/${textAt(answer.json, "id")}`);
  assert.equal(answer.headers.get("cache-control"), "no-store");
  const shown = await harness.call("GET", answer.headers.get("location") ?? "");
  assert.equal(shown.status, 200);
  assert.equal(at(shown.json, "secret"), undefined);
  assert.equal(shown.text.includes("whsec_"), false);
});

test("201 takes every setting and shows it again, but for the values of headers", async () => {
  await using harness = await openGatewayHarness();
  const settings = {
    event_types: ["order.*", "a"],
    description: "billing",
    headers: { "x-team": "a b" },
    retry: { delays_s: [0, 5] },
    rate_limit: { limit: 5, window_ms: 1000 },
    batch: { max_events: 10, max_wait_ms: 50 },
  };
  const answer = await harness.call("POST", PATH, {
    body: { ...settings, url: URL_ONE, secret: SECRET, paused: true, tenant: "acme" },
  });
  assert.equal(answer.status, 201, answer.text);
  const shown = await harness.call("GET", answer.headers.get("location") ?? "");
  const open = { ...settings, headers: { "x-team": "***" } };
  for (const [name, value] of Object.entries(open)) assert.deepEqual(at(shown.json, name), value);
  assert.equal(at(answer.json, "secret"), SECRET);
  assert.equal(at(shown.json, "tenant"), "acme");
  assert.equal(at(shown.json, "status"), "paused");
  assert.equal(at(shown.json, "status_since"), new Date(START_MS).toISOString());
});

const wrong: readonly (readonly [object, string])[] = [
  [{ url: undefined }, "#/url"],
  [{ url: 1 }, "#/url"],
  [{ url: "ftp://a.example/" }, "#/url"],
  [{ url: "/hooks" }, "#/url"],
  [{ url: "https://u:p@a.example/" }, "#/url"],
  [{ url: "https://a.example/#x" }, "#/url"],
  [{ url: `https://a.example/${"x".repeat(2048)}` }, "#/url"],
  [{ event_types: [] }, "#/event_types"],
  [{ event_types: "a" }, "#/event_types"],
  [{ event_types: ["a", "b b"] }, "#/event_types/1"],
  [{ event_types: Array.from({ length: 101 }, () => "a") }, "#/event_types"],
  [{ description: "x".repeat(501) }, "#/description"],
  [{ description: null }, "#/description"],
  [{ headers: [] }, "#/headers"],
  [{ headers: { "webhook-id": "x" } }, "#/headers/webhook-id"],
  [{ headers: { "Content-Length": "1" } }, "#/headers/Content-Length"],
  [{ headers: { "x-a": "b\r\nc" } }, "#/headers/x-a"],
  [{ headers: { "x-a": 1 } }, "#/headers/x-a"],
  [{ headers: { constructor: "x" } }, "#/headers/constructor"],
  // Only in small letters, as it is kept, would it be lost.
  [{ headers: { Constructor: "x" } }, "#/headers/Constructor"],
  [{ headers: { ["__Proto__"]: "x" } }, "#/headers/__Proto__"],
  [{ secret: "whsec_short" }, "#/secret"],
  [{ secret: 1 }, "#/secret"],
  [{ retry: {} }, "#/retry"],
  [{ retry: { delays_s: [-1] } }, "#/retry"],
  [{ rate_limit: { limit: 0, window_ms: 1 } }, "#/rate_limit/limit"],
  [{ rate_limit: { limit: 1 } }, "#/rate_limit/window_ms"],
  [{ rate_limit: { limit: 1, window_ms: 1, burst: 2 } }, "#/rate_limit/burst"],
  [{ rate_limit: 5 }, "#/rate_limit"],
  [{ batch: { max_events: 1.5, max_wait_ms: 0 } }, "#/batch/max_events"],
  [{ batch: { max_events: 1, max_wait_ms: 60_001 } }, "#/batch/max_wait_ms"],
  [{ paused: "yes" }, "#/paused"],
  [{ tenant: "" }, "#/tenant"],
  [{ status: "active" }, "#/status"],
  [{ id: "ep_1" }, "#/id"],
];
for (const [parts, pointer] of wrong) {
  test(`422 names ${pointer} of the endpoint ${JSON.stringify(parts).slice(0, 70)}`, async () => {
    await using harness = await openGatewayHarness();
    const answer = await harness.call("POST", PATH, { body: { url: URL_ONE, ...parts } });
    assertProblem(answer, 422, "validation-failed");
    assert.match(textAt(answer.json, "errors.0.pointer"), new RegExp(`^${pointer}`));
    assert.equal((await harness.drivers.directory.list({ tenant: null }, 10, null)).rows.length, 0);
  });
}

test("422 for a __proto__ among the headers, which valibot alone would drop", async () => {
  await using harness = await openGatewayHarness();
  const answer = await harness.call("POST", PATH, { body: `{"url":"${URL_ONE}","headers":{"__proto__":"x"}}` });
  assertProblem(answer, 422, "validation-failed");
  assertNames(answer, "#/headers/__proto__");
});

test("422 forbidden-address names the URL and the reason, at creation and at change", async () => {
  await using harness = await openGatewayHarness({
    vet: (url) =>
      url.includes("inside") ? { kind: "forbidden", reason: "the host is not allowed" } : { kind: "allowed" },
  });
  const created = await harness.call("POST", PATH, { body: { url: "https://inside.example/" } });
  assertProblem(created, 422, "forbidden-address");
  assertNames(created, "#/url");
  assert.match(textAt(created.json, "detail"), /^The URL cannot be called: the host is not allowed\.$/);
  const id = await createOne(harness);
  const changed = await harness.call("PATCH", `${PATH}/${id}`, { body: { url: "https://inside.example/" } });
  assertProblem(changed, 422, "forbidden-address");
  assert.equal(at((await harness.call("GET", `${PATH}/${id}`)).json, "url"), URL_ONE);
});

test("201 for a name that does not resolve yet", async () => {
  await using harness = await openGatewayHarness({ vet: () => ({ kind: "unresolved", reason: "no such name" }) });
  await createOne(harness);
});

test("a look-up is for the endpoint's tenant, and a stop ends the wait for it: the endpoint is made", async () => {
  const askedFor: string[] = [];
  const { promise: asked, resolve: noteAsked } = Promise.withResolvers<void>();
  await using harness = await openGatewayHarness({
    vet: (_url, tenant, signal) =>
      new Promise((resolve) => {
        signal.addEventListener("abort", () => resolve({ kind: "unresolved", reason: "no answer" }));
        askedFor.push(tenant);
        noteAsked();
      }),
  });
  const creating = harness.call("POST", PATH, { body: { url: URL_ONE, tenant: "acme" } });
  await asked;
  harness.gateway.stop();
  assert.equal((await creating).status, 201);
  assert.deepEqual(askedFor, ["acme"]);
});

test("GET lists a tenant's endpoints, oldest first, page by page", async () => {
  await using harness = await openGatewayHarness();
  const ids: string[] = [];
  for (let count = 0; count < 5; count++) {
    ids.push(await createOne(harness));
    await harness.clock.advance(1);
  }
  const seen: unknown[] = [];
  let cursor = "";
  do {
    const page = await harness.call("GET", `${PATH}?limit=2${cursor}`);
    const data = at(page.json, "data");
    assert.ok(Array.isArray(data) && data.length <= 2);
    seen.push(...data.map((row) => at(row, "id")));
    const next = at(page.json, "next_cursor");
    cursor = typeof next === "string" ? `&cursor=${next}` : "";
  } while (cursor !== "");
  assert.deepEqual(seen, ids);
});

test("PATCH changes what it names and leaves the rest; null takes a setting back", async () => {
  await using harness = await openGatewayHarness();
  const id = await createOne(harness, { retry: { delays_s: [0] }, description: "x" });
  await harness.clock.advance(5);
  const answer = await harness.call("PATCH", `${PATH}/${id}`, { body: { retry: null, event_types: ["b"] } });
  assert.equal(answer.status, 200, answer.text);
  assert.equal(at(answer.json, "description"), "x");
  assert.deepEqual(at(answer.json, "event_types"), ["b"]);
  assert.deepEqual(at(answer.json, "retry.delays_s.1"), 5);
  assert.equal(at(answer.json, "updated_at"), new Date(START_MS + 5).toISOString());
});

test("PATCH pauses and resumes", async () => {
  await using harness = await openGatewayHarness();
  const id = await createOne(harness);
  const paused = await harness.call("PATCH", `${PATH}/${id}`, { body: { paused: true } });
  assert.deepEqual([at(paused.json, "status"), at(paused.json, "status_reason")], ["paused", "paused by its owner"]);
  const active = await harness.call("PATCH", `${PATH}/${id}`, { body: { paused: false } });
  assert.deepEqual([at(active.json, "status"), at(active.json, "status_reason")], ["active", null]);
});

test("PATCH enables a disabled endpoint by disabled:false alone", async () => {
  await using harness = await openGatewayHarness();
  const id = await createOne(harness);
  await harness.drivers.directory.update("default", id, (endpoint) => ({
    ...endpoint,
    status: "disabled",
    statusReason: "answered 410",
    statusSinceMs: START_MS,
  }));
  const still = await harness.call("PATCH", `${PATH}/${id}`, { body: { paused: false } });
  assert.deepEqual([at(still.json, "status"), at(still.json, "status_reason")], ["disabled", "answered 410"]);
  const active = await harness.call("PATCH", `${PATH}/${id}`, { body: { disabled: false } });
  assert.equal(at(active.json, "status"), "active");
  assertNames(await harness.call("PATCH", `${PATH}/${id}`, { body: { disabled: true } }), "#/disabled");
});

test("a view says since when the endpoint fails; a new URL and an end of a pause begin anew, a description does not", async () => {
  await using harness = await openGatewayHarness();
  const id = await createOne(harness);
  const notice = { kind: "failing", atMs: START_MS - 1, isSent: true } as const;
  const trouble = { sinceMs: START_MS - 1000, seenAtMs: START_MS - 1, notice };
  const since = async (body: object): Promise<unknown> => {
    await harness.drivers.directory.update("default", id, (endpoint) => ({ ...endpoint, trouble }));
    return at((await harness.call("PATCH", `${PATH}/${id}`, { body })).json, "failing_since");
  };
  const before = new Date(trouble.sinceMs).toISOString();
  const anew = new Date(START_MS).toISOString();
  assert.equal(await since({ description: "x" }), before);
  assert.equal(await since({ url: "https://example.com/other" }), anew);
  assert.equal(await since({ paused: true }), before);
  assert.equal(await since({ paused: false }), anew);
  assert.equal(await since({ paused: false }), before);
});

test("DELETE removes; what was removed is 404 everywhere", async () => {
  await using harness = await openGatewayHarness();
  const one = `${PATH}/${await createOne(harness)}`;
  const removed = await harness.call("DELETE", one);
  assert.deepEqual([removed.status, removed.text], [204, ""]);
  for (const [method, path, body] of [
    ["GET", one, undefined],
    ["DELETE", one, undefined],
    ["PATCH", one, { paused: true }],
    ["PATCH", one, { url: URL_ONE }],
    ["POST", `${one}/rotate-secret`, {}],
    ["POST", `${one}/test`, {}],
    ["POST", `${one}/replay`, {}],
    ["GET", `${one}/attempts`, undefined],
    ["GET", `${one}/stats`, undefined],
  ] as const) {
    assertProblem(await harness.call(method, path, body === undefined ? {} : { body }), 404, "not-found");
  }
});

test("rotate-secret gives a new secret; the old one signs beside it for 24 hours", async () => {
  await using harness = await openGatewayHarness();
  const id = await createOne(harness, { secret: SECRET });
  const answer = await harness.call("POST", `${PATH}/${id}/rotate-secret`);
  assert.equal(answer.status, 200, answer.text);
  assert.match(textAt(answer.json, "secret"), /^whsec_/);
  assert.equal(at(answer.json, "previous_expires_at"), new Date(START_MS + SECRET_OVERLAP_MS).toISOString());
  const endpoint = await harness.drivers.directory.find("default", id);
  assert.deepEqual(
    endpoint?.secrets.map(({ secret }) => secret),
    [at(answer.json, "secret"), SECRET],
  );
});

test("rotate-secret takes a secret of one's own, but not one in use", async () => {
  await using harness = await openGatewayHarness();
  const id = await createOne(harness, { secret: SECRET });
  assertNames(await harness.call("POST", `${PATH}/${id}/rotate-secret`, { body: { secret: SECRET } }), "#/secret");
  assertNames(await harness.call("POST", `${PATH}/${id}/rotate-secret`, { body: { secret: "x" } }), "#/secret");
  const own = `whsec_${"A".repeat(32)}`;
  const answer = await harness.call("POST", `${PATH}/${id}/rotate-secret`, { body: { secret: own } });
  assert.equal(at(answer.json, "secret"), own);
});

test("test sends one event to this endpoint alone, whatever it subscribes to", async () => {
  await using harness = await openGatewayHarness();
  const id = await createOne(harness, { event_types: ["order.*"] });
  await createOne(harness);
  const answer = await harness.call("POST", `${PATH}/${id}/test`);
  assert.equal(answer.status, 202, answer.text);
  const status = await harness.call("GET", textAt(answer.json, "status_url"));
  assert.equal(status.status, 200, status.text);
  assert.equal(at(status.json, "type"), "posthaste.test");
  assert.equal(at(status.json, "state"), "pending");
  assert.equal(at(status.json, "deliveries.length"), 1);
  assert.equal(at(status.json, "deliveries.0.endpoint_id"), id);
  const [item, ...others] = await harness.takeDue();
  assert.equal(others.length, 0);
  assert.deepEqual([item?.endpointId, item?.attempt, item?.members[0]?.priority], [id, 1, "HIGH"]);
  assert.equal(item?.members[0]?.id, at(answer.json, "id"));
});

test("409 for a test of an endpoint that is paused, naming the remedy", async () => {
  await using harness = await openGatewayHarness();
  const id = await createOne(harness, { paused: true });
  const answer = await harness.call("POST", `${PATH}/${id}/test`);
  assertProblem(answer, 409, "conflict");
  assert.match(textAt(answer.json, "detail"), /"paused":false/);
});

test("422 limit-reached past the endpoints a tenant may have", async () => {
  await using harness = await openGatewayHarness();
  const endpoint = await harness.drivers.directory.find("default", await createOne(harness));
  assert.ok(endpoint !== null);
  for (let count = 1; count < 1000; count++) {
    await harness.drivers.directory.create({ ...endpoint, id: `ep_${String(count).padStart(26, "0")}` });
  }
  assertProblem(await harness.call("POST", PATH, { body: { url: URL_ONE } }), 422, "limit-reached");
});
