/** Tenants are separate: no key of one reads or changes anything of another, and no refusal shows that it exists. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertNames, assertProblem, at, openGatewayHarness, textAt } from "../support/gateway-harness.ts";

const EVENT = { type: "order.paid", data: { secret: "of acme" } };

/** What acme owns, and a key of beta that may do everything within beta. */
async function openTwo() {
  const harness = await openGatewayHarness();
  const acme = await harness.createKey({ tenant: "acme" });
  const beta = await harness.createKey({ tenant: "beta" });
  const endpoint = await harness.call("POST", "/v1/endpoints", { key: acme, body: { url: "https://acme.example/" } });
  const event = await harness.call("POST", "/v1/events", { key: acme, body: { ...EVENT, id: "order-1" } });
  const apiKey = await harness.call("POST", "/v1/api-keys", { key: acme, body: { name: "second" } });
  const endpointId = textAt(endpoint.json, "id");
  const deadLetter = await harness.addDeadLetter({ endpointId, tenant: "acme" });
  const ids = {
    endpoint: endpointId,
    event: textAt(event.json, "id"),
    key: textAt(apiKey.json, "id"),
    deadLetter: deadLetter.id,
  };
  return { harness, acme, beta, ids };
}

const reaches = (ids: {
  endpoint: string;
  event: string;
  key: string;
  deadLetter: string;
}): readonly (readonly [string, string, object?])[] => [
  ["GET", `/v1/events/${ids.event}`],
  ["GET", `/v1/events/${ids.event}?include=data`],
  ["GET", `/v1/endpoints/${ids.endpoint}`],
  ["PATCH", `/v1/endpoints/${ids.endpoint}`, { paused: true }],
  ["DELETE", `/v1/endpoints/${ids.endpoint}`],
  ["POST", `/v1/endpoints/${ids.endpoint}/rotate-secret`, {}],
  ["POST", `/v1/endpoints/${ids.endpoint}/test`, {}],
  ["POST", `/v1/endpoints/${ids.endpoint}/replay`, {}],
  ["GET", `/v1/endpoints/${ids.endpoint}/attempts`],
  ["GET", `/v1/endpoints/${ids.endpoint}/stats`],
  ["GET", `/v1/dead-letters/${ids.deadLetter}`],
  ["DELETE", `/v1/dead-letters/${ids.deadLetter}`],
  ["POST", `/v1/dead-letters/${ids.deadLetter}/replay`, {}],
  ["DELETE", `/v1/api-keys/${ids.key}`],
];

for (let index = 0; index < reaches({ endpoint: "", event: "", key: "", deadLetter: "" }).length; index++) {
  const [method, template] = reaches({
    endpoint: ":endpoint",
    event: ":event",
    key: ":key",
    deadLetter: ":deadLetter",
  })[index] ?? ["", ""];
  test(`404 for another tenant's thing: ${method} ${template}; 403 with the tenant named`, async () => {
    const { harness, acme, beta, ids } = await openTwo();
    await using _ = harness;
    const [, path, body] = reaches(ids)[index] ?? ["", ""];
    const wish = body === undefined ? {} : { body };
    const absent = await harness.call(method, path, { key: beta, ...wish });
    assertProblem(absent, 404, "not-found");
    assert.equal(absent.text.includes("acme"), false);
    const named = `${path}${path.includes("?") ? "&" : "?"}tenant=acme`;
    assertProblem(await harness.call(method, named, { key: beta, ...wish }), 403, "wrong-tenant");
    // What was refused changed nothing: the owner still has it all.
    assert.equal((await harness.call("GET", `/v1/endpoints/${ids.endpoint}`, { key: acme })).status, 200);
    assert.equal((await harness.call("GET", `/v1/dead-letters/${ids.deadLetter}`, { key: acme })).status, 200);
    assert.equal((await harness.drivers.retryQueue.depth()).count, 0);
    assert.equal(at((await harness.call("GET", "/v1/api-keys", { key: acme })).json, "data.0.status"), "usable");
  });
}

for (const path of ["/v1/events", "/v1/endpoints", "/v1/dead-letters", "/v1/api-keys"]) {
  test(`lists show a tenant its own alone: ${path}`, async () => {
    const { harness, acme, beta } = await openTwo();
    await using _ = harness;
    const own = await harness.call("GET", path, { key: acme });
    assert.notEqual(at(own.json, "data.0"), undefined);
    const other = await harness.call("GET", path, { key: beta });
    assert.equal(other.text.includes("acme"), false);
    assert.equal(other.status, 200);
    for (const named of ["acme", "*", "operator"]) {
      assertProblem(await harness.call("GET", `${path}?tenant=${named}`, { key: beta }), 403, "wrong-tenant");
    }
    const everyone = await harness.call("GET", `${path}?tenant=*`);
    assert.notEqual(at(everyone.json, "data.0"), undefined);
  });
}

test("replay by filter touches no other tenant's dead letters", async () => {
  const { harness, beta, ids } = await openTwo();
  await using _ = harness;
  const answer = await harness.call("POST", "/v1/dead-letters/replay", {
    key: beta,
    body: { endpoint_id: ids.endpoint },
  });
  assert.deepEqual([at(answer.json, "matched"), at(answer.json, "replayed")], [0, 0]);
  assertProblem(
    await harness.call("POST", "/v1/dead-letters/replay", { key: beta, body: { tenant: "acme" } }),
    403,
    "wrong-tenant",
  );
  assert.equal(await harness.drivers.deadLetters.count({ tenant: "acme" }), 1);
});

test("an event id is the tenant's own: two tenants may use the same", async () => {
  const { harness, beta } = await openTwo();
  await using _ = harness;
  const answer = await harness.call("POST", "/v1/events", {
    key: beta,
    body: { ...EVENT, data: "of beta", id: "order-1" },
  });
  assert.equal(answer.status, 202, answer.text);
  const shown = await harness.call("GET", "/v1/events/order-1?include=data", { key: beta });
  assert.equal(at(shown.json, "data"), "of beta");
});

for (const [method, path, body] of [
  ["POST", "/v1/events", EVENT],
  ["POST", "/v1/endpoints", { url: "https://a.example/" }],
  ["POST", "/v1/api-keys", { name: "a" }],
] as const) {
  test(`403 wrong-tenant for a tenant key that names another: ${method} ${path}`, async () => {
    const { harness, beta } = await openTwo();
    await using _ = harness;
    assertProblem(
      await harness.call(method, path, { key: beta, body: { ...body, tenant: "acme" } }),
      403,
      "wrong-tenant",
    );
    assertProblem(await harness.call(method, `${path}?tenant=acme`, { key: beta, body }), 403, "wrong-tenant");
    const own = await harness.call(method, `${path}?tenant=beta`, { key: beta, body: { ...body, tenant: "beta" } });
    assert.ok(own.status === 201 || own.status === 202, own.text);
  });
}

test("an operator acts for any tenant, by body or query, default when neither names one", async () => {
  await using harness = await openGatewayHarness();
  const urls: unknown[] = [];
  for (const [query, body] of [
    ["", {}],
    ["", { tenant: "acme" }],
    ["?tenant=beta", {}],
    ["?tenant=acme", { tenant: "acme" }],
  ] as const) {
    const answer = await harness.call("POST", `/v1/events${query}`, { body: { ...EVENT, ...body } });
    urls.push(textAt(answer.json, "status_url").replace(/^[^?]*/, ""));
    assert.equal((await harness.call("GET", textAt(answer.json, "status_url"))).status, 200);
  }
  assert.deepEqual(urls, ["", "?tenant=acme", "?tenant=beta", "?tenant=acme"]);
});

test("422 when body and query name different tenants; 400 for * where one is meant", async () => {
  await using harness = await openGatewayHarness();
  const answer = await harness.call("POST", "/v1/events?tenant=acme", { body: { ...EVENT, tenant: "beta" } });
  assertProblem(answer, 422, "validation-failed");
  assertNames(answer, "#/tenant");
  assertProblem(await harness.call("POST", "/v1/events?tenant=*", { body: EVENT }), 400, "invalid-query");
  assertProblem(await harness.call("GET", "/v1/events/x?tenant=*"), 400, "invalid-query");
});
