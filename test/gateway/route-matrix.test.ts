/**
 * Every route against another tenant's key, a key without the scope, and no key. The table names each route; one that
 * is missing in it fails, so that a new route brings its row.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRoutes } from "@posthaste/gateway/app.ts";
import type { RouteDeps } from "@posthaste/gateway/app.ts";
import { Scope } from "@posthaste/shared/domain/api-key.ts";
import { assertProblem, openGatewayHarness, textAt } from "../support/gateway-harness.ts";

/**
 * `thing`: names one thing of its owner by id. `list`: shows the caller's own. `create`: acts for the tenant that body or
 * query name. `shared`: is the same for all tenants. `operator`: is for keys without a tenant alone. `stream`: has no end of its own. The body is one that the route takes.
 */
interface Row {
  readonly kind: "thing" | "list" | "create" | "shared" | "operator" | "stream";
  readonly scope: Scope;
  readonly of?: "endpoint" | "event" | "deadLetter" | "key";
  readonly body?: object;
}

const EVENT = { type: "order.paid", data: 1 };
const matrix: Readonly<Record<string, Row>> = {
  "POST /v1/events": { kind: "create", scope: "publish", body: EVENT },
  "POST /v1/events/batch": { kind: "create", scope: "publish", body: { events: [EVENT] } },
  "GET /v1/events": { kind: "list", scope: "read" },
  "GET /v1/events/:id": { kind: "thing", scope: "read", of: "event" },
  "GET /v1/events/:id/why": { kind: "thing", scope: "read", of: "event" },
  "POST /v1/events/:id/resend": { kind: "thing", scope: "manage", of: "event", body: {} },
  "POST /v1/events/:id/cancel": { kind: "thing", scope: "publish", of: "event", body: {} },
  "POST /v1/endpoints": { kind: "create", scope: "manage", body: { url: "https://a.example/" } },
  "GET /v1/endpoints": { kind: "list", scope: "read" },
  "GET /v1/endpoints/:id": { kind: "thing", scope: "read", of: "endpoint" },
  "PATCH /v1/endpoints/:id": { kind: "thing", scope: "manage", of: "endpoint", body: { paused: true } },
  "DELETE /v1/endpoints/:id": { kind: "thing", scope: "manage", of: "endpoint" },
  "POST /v1/endpoints/:id/rotate-secret": { kind: "thing", scope: "manage", of: "endpoint", body: {} },
  "POST /v1/endpoints/:id/test": { kind: "thing", scope: "manage", of: "endpoint", body: {} },
  "POST /v1/endpoints/:id/replay": { kind: "thing", scope: "manage", of: "endpoint", body: {} },
  "GET /v1/endpoints/:id/attempts": { kind: "thing", scope: "read", of: "endpoint" },
  "GET /v1/endpoints/:id/stats": { kind: "thing", scope: "read", of: "endpoint" },
  "GET /v1/dead-letters": { kind: "list", scope: "read" },
  "POST /v1/dead-letters/replay": { kind: "create", scope: "manage", body: {} },
  "GET /v1/dead-letters/:id": { kind: "thing", scope: "read", of: "deadLetter" },
  "DELETE /v1/dead-letters/:id": { kind: "thing", scope: "manage", of: "deadLetter" },
  "POST /v1/dead-letters/:id/replay": { kind: "thing", scope: "manage", of: "deadLetter", body: {} },
  "POST /v1/api-keys": { kind: "create", scope: "manage", body: { name: "a" } },
  "GET /v1/api-keys": { kind: "list", scope: "manage" },
  "DELETE /v1/api-keys/:id": { kind: "thing", scope: "manage", of: "key" },
  "POST /v1/portal-links": { kind: "create", scope: "manage", body: {} },
  "GET /v1/quarantine": { kind: "operator", scope: "read" },
  "GET /v1/quarantine/:id": { kind: "operator", scope: "read" },
  "DELETE /v1/quarantine/:id": { kind: "operator", scope: "manage" },
  "POST /v1/quarantine/:id/put-back": { kind: "operator", scope: "manage" },
  "GET /v1/event-types": { kind: "shared", scope: "read" },
  "GET /v1/event-types/:name": { kind: "shared", scope: "read" },
  "PUT /v1/event-types/:name": { kind: "operator", scope: "manage", body: { description: "a" } },
  "DELETE /v1/event-types/:name": { kind: "operator", scope: "manage" },
  "GET /v1/tail": { kind: "stream", scope: "read" },
};

async function openTwo() {
  const harness = await openGatewayHarness();
  const acme = await harness.createKey({ tenant: "acme" });
  const create = async (path: string, body: object): Promise<string> =>
    textAt((await harness.call("POST", path, { key: acme, body })).json, "id");
  const endpoint = await create("/v1/endpoints", { url: "https://acme.example/" });
  const ids = {
    endpoint,
    event: await create("/v1/events", EVENT),
    key: await create("/v1/api-keys", { name: "second" }),
    deadLetter: (await harness.addDeadLetter({ endpointId: endpoint, tenant: "acme" })).id,
  };
  await harness.call("PUT", "/v1/event-types/order.paid", { body: { description: "An order was paid." } });
  return { harness, ids };
}

test("the table has a row for every route, and no other", () => {
  const routes = createRoutes({} as RouteDeps).map(({ method, path, scope }) => `${method} ${path} ${scope}`);
  const rows = Object.entries(matrix).map(([route, { scope }]) => `${route} ${scope}`);
  assert.deepEqual(rows.toSorted(), routes.toSorted());
});

for (const [route, row] of Object.entries(matrix)) {
  test(`${route}: nothing of another tenant, nothing without the scope, nothing without a key`, async () => {
    const { harness, ids } = await openTwo();
    await using _ = harness;
    const [method = "", template = ""] = route.split(" ");
    const path = row.of === undefined ? template.replace(":name", "order.paid") : template.replace(":id", ids[row.of]);
    const wish = row.body === undefined ? {} : { body: row.body };
    const beta = await harness.createKey({ tenant: "beta" });
    const call = (key: string, at = path, body = row.body) =>
      harness.call(method, at, { key, ...(body === undefined ? {} : { body }) });

    const foreign = await (row.kind === "stream" ? harness.call("HEAD", path, { key: beta }) : call(beta));
    if (row.kind === "thing") assertProblem(foreign, 404, "not-found");
    else if (row.kind === "operator") assertProblem(foreign, 403, "wrong-tenant");
    else assert.ok(foreign.status < 300, foreign.text);
    assert.equal(foreign.text.includes("acme"), false);
    for (const named of row.kind === "operator" ? [] : ["acme", "operator", ...(row.kind === "create" ? [] : ["*"])]) {
      assertProblem(await call(beta, `${path}?tenant=${named}`), 403, "wrong-tenant");
    }
    if (row.kind === "create" && !Object.hasOwn(row.body ?? {}, "events")) {
      assertProblem(await call(beta, path, { ...row.body, tenant: "acme" }), 403, "wrong-tenant");
    }
    const others = Scope.options.filter((scope) => scope !== row.scope);
    assertProblem(await call(await harness.createKey({ scopes: others })), 403, "missing-scope");
    const revoked = await harness.createKey({ revokedAtMs: harness.clock.now() });
    assertProblem(await call(revoked), 401, "key-revoked");
    const unknown = await harness.call(method, path, { key: `phk_${"z".repeat(40)}`, ...wish });
    assertProblem(unknown, 401, "unauthenticated");
  });
}
