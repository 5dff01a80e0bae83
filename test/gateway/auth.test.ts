/** Who may call what: keys, scopes, and what a refusal says. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Scope } from "@posthaste/shared/domain/api-key.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { assertProblem, openGatewayHarness } from "../support/gateway-harness.ts";
import { START_MS } from "../support/samples.ts";

const EVENT = { type: "a", data: 1 };

test("202 with the key as Bearer, as bearer, and as x-api-key", async () => {
  await using harness = await openGatewayHarness();
  const key = harness.operatorKey;
  for (const headers of [
    { authorization: `Bearer ${key}` },
    { authorization: `bearer ${key}` },
    { "x-api-key": key },
    { authorization: `Bearer ${key}`, "x-api-key": key },
  ]) {
    const answer = await harness.call("POST", "/v1/events", { key: null, body: EVENT, headers });
    assert.equal(answer.status, 202, answer.text);
  }
});

const unknown = `phk_${"0".repeat(40)}`;
const refused: readonly (readonly [string, Record<string, string>])[] = [
  ["no key", {}],
  ["an unknown key", { authorization: `Bearer ${unknown}` }],
  ["an unknown x-api-key", { "x-api-key": unknown }],
  ["an empty key", { authorization: "Bearer " }],
  ["the scheme alone", { authorization: "Bearer" }],
  ["another scheme", { authorization: "Basic dXNlcjpwYXNz" }],
  ["a key that is too short", { "x-api-key": "short" }],
  ["a key with characters no key has", { "x-api-key": `${"a".repeat(30)}/${"b".repeat(8)}` }],
  ["a key that is too long", { "x-api-key": "a".repeat(129) }],
];
for (const [name, headers] of refused) {
  test(`401 for ${name}, with WWW-Authenticate`, async () => {
    await using harness = await openGatewayHarness();
    const answer = await harness.call("POST", "/v1/events", { key: null, body: EVENT, headers });
    assertProblem(answer, 401, "unauthenticated");
    assert.equal(answer.headers.get("www-authenticate"), "Bearer");
    assert.equal(answer.text.includes(unknown), false);
  });
}

test("401 when Authorization and x-api-key differ, though each is a key", async () => {
  await using harness = await openGatewayHarness();
  const other = await harness.createKey({});
  const answer = await harness.call("POST", "/v1/events", { body: EVENT, headers: { "x-api-key": other } });
  assertProblem(answer, 401, "unauthenticated");
});

test("401 key-expired from the very millisecond of its end", async () => {
  await using harness = await openGatewayHarness();
  const key = await harness.createKey({ expiresAtMs: START_MS + 1000 });
  assert.equal((await harness.call("GET", "/v1/events", { key })).status, 200);
  await harness.clock.advance(1000);
  assertProblem(await harness.call("GET", "/v1/events", { key }), 401, "key-expired");
});

test("401 key-revoked for a key that was revoked", async () => {
  await using harness = await openGatewayHarness();
  const key = await harness.createKey({ revokedAtMs: START_MS - 1 });
  assertProblem(await harness.call("GET", "/v1/events", { key }), 401, "key-revoked");
});

test("401 comes before anything else is looked at", async () => {
  await using harness = await openGatewayHarness();
  const headers = { "content-type": "text/plain", "content-length": "99999999" };
  assertProblem(
    await harness.call("POST", "/v1/events?x=1", { key: null, body: "{", headers }),
    401,
    "unauthenticated",
  );
});

const id = `ep_${"0".repeat(26)}`;
const deadLetter = `dlv_${"0".repeat(26)}`;
const needs: readonly (readonly [string, string, Scope])[] = [
  ["POST", "/v1/events", "publish"],
  ["POST", "/v1/events/batch", "publish"],
  ["GET", "/v1/events", "read"],
  ["GET", "/v1/events/evt_1", "read"],
  ["POST", "/v1/endpoints", "manage"],
  ["GET", "/v1/endpoints", "read"],
  ["GET", `/v1/endpoints/${id}`, "read"],
  ["PATCH", `/v1/endpoints/${id}`, "manage"],
  ["DELETE", `/v1/endpoints/${id}`, "manage"],
  ["POST", `/v1/endpoints/${id}/rotate-secret`, "manage"],
  ["POST", `/v1/endpoints/${id}/test`, "manage"],
  ["POST", `/v1/endpoints/${id}/replay`, "manage"],
  ["GET", `/v1/endpoints/${id}/attempts`, "read"],
  ["GET", `/v1/endpoints/${id}/stats`, "read"],
  ["GET", "/v1/dead-letters", "read"],
  ["GET", `/v1/dead-letters/${deadLetter}`, "read"],
  ["DELETE", `/v1/dead-letters/${deadLetter}`, "manage"],
  ["POST", `/v1/dead-letters/${deadLetter}/replay`, "manage"],
  ["POST", "/v1/dead-letters/replay", "manage"],
  ["POST", "/v1/api-keys", "manage"],
  ["GET", "/v1/api-keys", "manage"],
  ["DELETE", `/v1/api-keys/key_${"0".repeat(26)}`, "manage"],
];
for (const [method, path, scope] of needs) {
  test(`403 for ${method} ${path} without the scope ${scope}; with it alone the door is open`, async () => {
    await using harness = await openGatewayHarness();
    const all: readonly Scope[] = ["publish", "manage", "read"];
    const without = await harness.createKey({ scopes: all.filter((other) => other !== scope) });
    const body = method === "GET" || method === "DELETE" ? {} : { body: {} };
    const refusal = await harness.call(method, path, { key: without, ...body });
    assertProblem(refusal, 403, "missing-scope");
    const admitted = await harness.call(method, path, { key: await harness.createKey({ scopes: [scope] }), ...body });
    assert.ok([200, 404, 422].includes(admitted.status), `${admitted.status} ${admitted.text}`);
  });
}

test("503 with Retry-After when the API-key store is down", async () => {
  await using harness = await openGatewayHarness({
    wrap: (drivers) => ({
      ...drivers,
      apiKeys: {
        ...drivers.apiKeys,
        find: () => Promise.reject(new PosthasteError("store-unavailable", "The store is away.")),
      },
    }),
  });
  const answer = await harness.call("GET", "/v1/events");
  assertProblem(answer, 503, "store-unavailable");
  assert.match(answer.headers.get("retry-after") ?? "", /^[1-9]\d*$/);
});
