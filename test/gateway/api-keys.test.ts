/** API keys: made once, shown once, never worth more than the key that made them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertNames, assertProblem, at, openGatewayHarness, textAt } from "../support/gateway-harness.ts";
import { START_MS } from "../support/samples.ts";

const PATH = "/v1/api-keys";

test("201 shows the key once; it works, and no list shows it or its hash", async () => {
  await using harness = await openGatewayHarness();
  const answer = await harness.call("POST", PATH, { body: { name: "ci", tenant: "acme" } });
  assert.equal(answer.status, 201, answer.text);
  const key = textAt(answer.json, "key");
  assert.match(key, /^phk_[0-9a-hjkmnp-tv-z]{40}$/);
  assert.deepEqual(at(answer.json, "scopes"), ["publish", "manage", "read"]);
  assert.equal((await harness.call("GET", "/v1/events", { key })).status, 200);
  const list = await harness.call("GET", `${PATH}?tenant=acme`);
  assert.equal(at(list.json, "data.0.id"), at(answer.json, "id"));
  assert.equal(at(list.json, "data.0.hint"), `${key.slice(0, 8)}…`);
  assert.equal(list.text.includes(key), false);
  assert.equal(/[0-9a-f]{64}/.test(list.text), false);
});

test("a tenant key made by an operator has the default limit of 1,000 per second; an operator key none", async () => {
  await using harness = await openGatewayHarness();
  const tenant = await harness.call("POST", PATH, { body: { name: "a" } });
  assert.deepEqual(at(tenant.json, "rate_limit"), {
    limit: 1000,
    window_ms: 1000,
    failure_mode: "local",
    policy: "exact",
  });
  assert.equal(at(tenant.json, "tenant"), "default");
  const operator = await harness.call("POST", PATH, { body: { name: "b", tenant: "operator" } });
  assert.deepEqual([at(operator.json, "rate_limit"), at(operator.json, "tenant")], [null, "operator"]);
  const asAnyone = await harness.call("GET", "/v1/events?tenant=beta", { key: textAt(operator.json, "key") });
  assert.equal(asAnyone.status, 200);
});

test("a rate limit's failure mode: local by default, kept, shown, and handed down no looser", async () => {
  await using harness = await openGatewayHarness();
  const limit = { limit: 10, window_ms: 1000 };
  const make = async (mode: string | null, key = harness.operatorKey) => {
    const rate_limit = mode === null ? limit : { ...limit, failure_mode: mode };
    return await harness.call("POST", PATH, { key, body: { name: "a", tenant: "acme", rate_limit } });
  };
  const modes: unknown[] = [];
  for (const mode of [null, "local", "closed", "open"]) {
    const made = await make(mode);
    modes.push(at(made.json, "rate_limit.failure_mode"));
    // A key made by this one, with no word of the mode.
    const child = await make(null, textAt(made.json, "key"));
    modes.push(at(child.json, "rate_limit.failure_mode"));
  }
  assert.deepEqual(modes, ["local", "local", "local", "local", "closed", "closed", "open", "local"]);
  const closed = textAt((await make("closed")).json, "key");
  for (const mode of ["local", "open"]) assertNames(await make(mode, closed), "#/rate_limit/failure_mode");
  const listed = await harness.call("GET", `${PATH}?tenant=acme`);
  assert.equal(at(listed.json, "data.0.rate_limit.failure_mode"), "closed");
});

test("DELETE revokes at once; twice is fine; the list keeps it as revoked", async () => {
  await using harness = await openGatewayHarness();
  const made = await harness.call("POST", PATH, { body: { name: "a" } });
  const one = `${PATH}/${textAt(made.json, "id")}`;
  assert.equal((await harness.call("DELETE", one)).status, 204);
  assertProblem(await harness.call("GET", "/v1/events", { key: textAt(made.json, "key") }), 401, "key-revoked");
  await harness.clock.advance(1000);
  assert.equal((await harness.call("DELETE", one)).status, 204);
  const list = await harness.call("GET", PATH);
  assert.deepEqual(
    [at(list.json, "data.0.status"), at(list.json, "data.0.revoked_at")],
    ["revoked", new Date(START_MS).toISOString()],
  );
});

test("404 for keys that are not there", async () => {
  await using harness = await openGatewayHarness();
  for (const id of ["x", `key_${"0".repeat(26)}`, `ep_${"0".repeat(26)}`]) {
    assertProblem(await harness.call("DELETE", `${PATH}/${id}`), 404, "not-found");
  }
});

const wrong: readonly (readonly [object, string])[] = [
  [{}, "#/name"],
  [{ name: "" }, "#/name"],
  [{ name: "x".repeat(101) }, "#/name"],
  [{ name: 1 }, "#/name"],
  [{ name: "a", scopes: [] }, "#/scopes"],
  [{ name: "a", scopes: ["admin"] }, "#/scopes/0"],
  [{ name: "a", scopes: "read" }, "#/scopes"],
  [{ name: "a", tenant: "*" }, "#/tenant"],
  [{ name: "a", rate_limit: { limit: 1, window_ms: 86_400_001 } }, "#/rate_limit/window_ms"],
  [{ name: "a", rate_limit: null }, "#/rate_limit"],
  [{ name: "a", rate_limit: { limit: 1, window_ms: 1, failure_mode: "deny" } }, "#/rate_limit/failure_mode"],
  [{ name: "a", rate_limit: { failure_mode: "open" } }, "#/rate_limit/limit"],
  [{ name: "a", rate_limit: { limit: 1, window_ms: 1, policy: "loose" } }, "#/rate_limit/policy"],
  [{ name: "a", expires_at: "never" }, "#/expires_at"],
  [{ name: "a", expires_at: "2026-01-31T12:00:00Z" }, "#/expires_at"],
  [{ name: "a", key: "phk_mine" }, "#/key"],
];
for (const [body, pointer] of wrong) {
  test(`422 names ${pointer} of the API key ${JSON.stringify(body).slice(0, 60)}`, async () => {
    await using harness = await openGatewayHarness();
    const answer = await harness.call("POST", PATH, { body });
    assertProblem(answer, 422, "validation-failed");
    assertNames(answer, pointer);
  });
}

test("a key grants nothing that it lacks: scope, limit, time", async () => {
  await using harness = await openGatewayHarness();
  const key = await harness.createKey({
    tenant: "acme",
    scopes: ["manage", "read"],
    rateLimit: { limit: 100, windowMs: 1000, failureMode: "local" },
    expiresAtMs: START_MS + 60_000,
  });
  const create = (body: object) => harness.call("POST", PATH, { key, body: { name: "a", scopes: ["read"], ...body } });
  assertProblem(await create({ scopes: ["publish"] }), 403, "missing-scope");
  assertNames(await create({ rate_limit: { limit: 101, window_ms: 1000 } }), "#/rate_limit");
  assertNames(await create({ rate_limit: { limit: 100, window_ms: 999 } }), "#/rate_limit");
  const limit = { limit: 100, window_ms: 1000 };
  assertNames(await create({ rate_limit: { ...limit, failure_mode: "open" } }), "#/rate_limit/failure_mode");
  assertNames(await create({ rate_limit: { ...limit, policy: "approximate" } }), "#/rate_limit/policy");
  assertNames(await create({ expires_at: "2026-01-31T12:01:01Z" }), "#/expires_at");
  const made = await create({});
  assert.equal(made.status, 201, made.text);
  assert.deepEqual(at(made.json, "rate_limit"), { ...limit, failure_mode: "local", policy: "exact" });
  assert.equal(at(made.json, "expires_at"), new Date(START_MS + 60_000).toISOString());
  assert.equal(at(made.json, "tenant"), "acme");
});

test("a tenant key cannot make an operator key", async () => {
  await using harness = await openGatewayHarness();
  const key = await harness.createKey({ tenant: "acme" });
  assertProblem(
    await harness.call("POST", PATH, { key, body: { name: "a", tenant: "operator" } }),
    403,
    "wrong-tenant",
  );
  assertProblem(
    await harness.call("POST", `${PATH}?tenant=operator`, { key, body: { name: "a" } }),
    403,
    "wrong-tenant",
  );
});

test("tenant=* lists every key, operator keys too; tenant=operator says so", async () => {
  await using harness = await openGatewayHarness();
  await harness.createKey({ tenant: "acme" });
  const all = await harness.call("GET", `${PATH}?tenant=*`);
  assert.deepEqual(
    new Set([at(all.json, "data.0.tenant"), at(all.json, "data.1.tenant")]),
    new Set(["acme", "operator"]),
  );
  assertProblem(await harness.call("GET", `${PATH}?tenant=operator`), 400, "invalid-query");
});
