/** Every page and form, of the dashboard and of the portal, against a key that may only look, another tenant's key, and text that would be code. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { pages } from "@posthaste/gateway/dashboard/pages/pages.ts";
import { DASHBOARD, pathIn, portalPlace } from "@posthaste/gateway/dashboard/place.ts";
import { portalCalls } from "@posthaste/gateway/dashboard/portal.ts";
import { hashApiKey } from "@posthaste/shared/domain/api-key.ts";
import type { DeliveryRecord } from "@posthaste/shared/ports/ledger.ts";
import { DashboardClient } from "../support/dashboard-client.ts";
import { testHasher } from "../support/ambient.ts";
import { ROUTES } from "../support/documented-answers.ts";
import type { GatewayHarness } from "../support/gateway-harness.ts";
import { openGatewayHarness, textAt } from "../support/gateway-harness.ts";
import { enterPortal } from "../support/portal-links.ts";

const HOSTILE = `"'><script>alert(1)</script><img src=x onerror=alert(1)>`;
/** Of acme's things; no page of another tenant may have it. */
const SECRET = "acme-only";

/** Things of acme, each with text in it that would be code. */
async function open() {
  const harness = await openGatewayHarness();
  const acme = await harness.createKey({ tenant: "acme", name: `${SECRET} ${HOSTILE}` });
  const post = async (path: string, body: object): Promise<string> =>
    textAt((await harness.call("POST", path, { key: acme, body })).json, "id");
  const endpoint = await post("/v1/endpoints", {
    url: `https://acme.example/${SECRET}?q=%22<script>alert(1)</script>`,
    description: `${SECRET} ${HOSTILE}`,
    headers: { "x-header-of-acme": HOSTILE },
    event_types: [`${SECRET}.*`],
  });
  const event = await post("/v1/events", { type: `${SECRET}.paid`, data: { [HOSTILE]: [HOSTILE, "</script></pre>"] } });
  const key = await post("/v1/api-keys", { name: `${SECRET} ${HOSTILE}` });
  await recordAttempt(harness, event, endpoint);
  const deadLetter = await harness.addDeadLetter({
    endpointId: endpoint,
    tenant: "acme",
    deadLetter: { reason: `${SECRET} ${HOSTILE}` },
  });
  await harness.call("PUT", "/v1/event-types/order.paid", {
    body: {
      description: HOSTILE,
      schema: { description: HOSTILE, default: [HOSTILE] },
      example: { [HOSTILE]: "</textarea></pre>" },
    },
  });
  await harness.drivers.flush();
  return { harness, acme, ids: { endpoint, event, key, deadLetter: deadLetter.id } };
}

/** A receiver answered with what would be code. */
async function recordAttempt({ drivers, clock }: GatewayHarness, eventId: string, endpointId: string): Promise<void> {
  const delivery: DeliveryRecord = {
    tenant: "acme",
    eventId,
    endpointId,
    generation: 0,
    eventType: `${SECRET}.paid`,
    atMs: clock.now(),
    state: "retrying",
    attempt: 1,
    result: {
      kind: "answered",
      status: 500,
      durationMs: 3,
      bodyExcerpt: HOSTILE,
      isBodyCut: false,
      retryAfter: null,
    },
    groupId: null,
    nextAttemptAtMs: clock.now() + 5000,
    reason: `answered 500 ${HOSTILE}`,
  };
  drivers.ledger.record([{ kind: "delivery", delivery }]);
  await drivers.flush();
}

type Ids = Awaited<ReturnType<typeof open>>["ids"];

function pathOf(path: string, ids: Ids): string {
  const id = path.includes("/endpoints/") ? ids.endpoint : path.includes("/events/") ? ids.event : ids.key;
  return path.replace(":id", id).replace(":name", "order.paid");
}

/** Fields with which each form would do something. */
function fieldsOf(path: string, ids: Ids): Readonly<Record<string, string>> {
  if (path.endsWith("/new") || path.endsWith("/edit")) return { url: "https://b.example/", description: "of beta" };
  if (path.endsWith("/state")) return { paused: "true" };
  if (path.endsWith("/chosen")) return { id: ids.deadLetter, do: "delete" };
  return path === "/dashboard/api-keys" ? { name: "of beta", scopes: "read" } : {};
}

async function act(client: DashboardClient, method: string, path: string, ids: Ids) {
  return await (method === "GET" ? client.visit(path) : client.send(path, fieldsOf(path, ids)));
}

const shownPages = pages.filter(({ path }) => path !== "/dashboard/tail");

for (const { method, path, scope } of shownPages) {
  test(`${method} ${path}: nothing of another tenant, by its own name or by the tenant's`, async () => {
    const { harness, ids } = await open();
    await using _ = harness;
    const client = new DashboardClient(harness.gateway);
    await client.signIn(await harness.createKey({ tenant: "beta" }));
    const before = await harness.drivers.directory.list({ tenant: "acme" }, 10, null);
    for (const query of ["", "?tenant=acme", "?tenant=*"]) {
      const seen = await act(client, method, `${pathOf(path, ids)}${query}`, ids);
      assert.ok(!seen.text.includes(SECRET), `${seen.status}: ${seen.text}`);
      if (path.includes(":id")) assert.ok([403, 404].includes(seen.status), `${query} ${seen.status}: ${seen.text}`);
    }
    assert.deepEqual(await harness.drivers.directory.list({ tenant: "acme" }, 10, null), before);
    assert.equal(await harness.drivers.deadLetters.count({ tenant: "acme" }), 1);
    assert.equal((await harness.drivers.retryQueue.depth()).count, 0);
  });

  if (scope === "manage") {
    test(`${method} ${path}: refused for a key that may only look`, async () => {
      const { harness, ids } = await open();
      await using _ = harness;
      const client = new DashboardClient(harness.gateway);
      await client.signIn(await harness.createKey({ tenant: "acme", scopes: ["read"] }));
      const seen = await act(client, method, pathOf(path, ids), ids);
      assert.equal(seen.status, 403);
      assert.match(seen.text, /lacks the scope manage/);
    });
  } else {
    test(`${method} ${path}: a key that may only look sees it without anything that changes things`, async () => {
      const { harness, ids } = await open();
      await using _ = harness;
      const client = new DashboardClient(harness.gateway);
      await client.signIn(await harness.createKey({ tenant: "acme", scopes: ["read"] }));
      const { status, text } = await client.visit(pathOf(path, ids));
      assert.equal(status, 200, text);
      const posts = Array.from(
        text.matchAll(/<form\b[^>]*method="post"[^>]*action="([^"]*)"/g),
        ([, action]) => action,
      );
      assert.deepEqual(posts, ["/dashboard/sign-out"]);
      assert.doesNotMatch(text, /endpoints\/new|\/edit|api-keys/);
    });
  }

  if (method === "GET") {
    test(`${method} ${path}: what others wrote stays text, and the policy is strict`, async () => {
      const { harness, acme, ids } = await open();
      await using _ = harness;
      const client = new DashboardClient(harness.gateway);
      for (const [key, query] of [
        [acme, ""],
        [harness.operatorKey, "?tenant=acme"],
      ] as const) {
        await client.signIn(key);
        const { status, text, headers } = await client.visit(`${pathOf(path, ids)}${query}`);
        assert.equal(status, 200, text);
        assertSafe(text);
        assert.match(
          headers.get("content-security-policy") ?? "",
          /^default-src 'none'; script-src 'self'; style-src 'self'; /,
        );
      }
    });

    test(`${method} ${path}: what stands in the address stays text`, async () => {
      const { harness, ids } = await open();
      await using _ = harness;
      const client = new DashboardClient(harness.gateway);
      await client.signIn(harness.operatorKey);
      const hostile = encodeURIComponent(HOSTILE);
      const names = [
        "type",
        "state",
        "tenant",
        "endpoint_id",
        "since",
        "cursor",
        "done",
        "sent",
        "why",
        "resent",
        "replayed",
        "skipped",
        "status",
        "outcome",
        "lane",
      ];
      for (const name of names) assertSafe((await client.visit(`${pathOf(path, ids)}?${name}=${hostile}`)).text);
      if (path.includes(":id")) assertSafe((await client.visit(path.replace(":id", hostile))).text);
      const signedOut = new DashboardClient(harness.gateway);
      assertSafe((await signedOut.visit(`${pathOf(path, ids)}?type=${hostile}`)).text);
    });
  }
}

/** One script of our own, and on the overview of operators what draws, no handler, no style, nothing from elsewhere. */
function assertSafe(text: string, { home } = DASHBOARD): void {
  const scripts = Array.from(text.matchAll(/<script\b[^>]*>/gi), ([tag]) => tag);
  const [first, ...more] = scripts;
  assert.equal(first, `<script src="${home}/script.js" defer>`, text);
  if (more.length > 0) assert.deepEqual(more, ['<script src="/dashboard/plot.js" defer>'], text);
  assert.doesNotMatch(text, /<img|<iframe|<object|<style|\sstyle=|javascript:/i);
  // Outside the values of attributes.
  assert.doesNotMatch(text.replaceAll(/"[^"]*"/g, '""'), /<[^>]*\son\w+=/i);
}

const PORTAL = portalPlace({ name: "Webhooks", hasLogo: false, origins: [] });
const portalPages = shownPages.filter(({ section }) => PORTAL.shows(section));

test("pages of the portal cannot ask for API keys, links or the quarantine, whatever becomes of them", () => {
  const allowed = new Set(portalCalls(ROUTES).map(({ path }) => path.split("/")[2] ?? ""));
  const kept = new Set(
    ROUTES.filter((route) => !portalCalls(ROUTES).includes(route)).map(({ path }) => path.split("/")[2] ?? ""),
  );
  assert.deepEqual([...kept].toSorted(), ["api-keys", "portal-links", "quarantine"]);
  for (const name of ["endpoints", "events", "dead-letters", "tail"]) assert.ok(allowed.has(name), name);
  for (const name of kept) assert.ok(!allowed.has(name), name);
});

test("the portal has every section but those for who holds a key", () => {
  const left = new Set(pages.map(({ section }) => section).filter((section) => !PORTAL.shows(section)));
  assert.deepEqual([...left], ["api-keys"]);
});

for (const { method, path: ofDashboard, scope } of portalPages) {
  const path = pathIn(PORTAL, ofDashboard);

  test(`${method} ${path}: nothing of another tenant, by its own name or by the tenant's`, async () => {
    const { harness, acme, ids } = await open();
    await using _ = harness;
    const keys = [harness.operatorKey, await harness.createKey({ tenant: "beta" })];
    const before = await harness.drivers.directory.list({ tenant: "acme" }, 10, null);
    for (const key of keys) {
      const client = await enterPortal(harness, { tenant: "beta" }, key);
      for (const query of ["", "?tenant=acme", "?tenant=*", "?tenant=operator"]) {
        const seen = await act(client, method, `${pathOf(path, ids)}${query}`, ids);
        assert.ok(!seen.text.includes(SECRET), `${seen.status}: ${seen.text}`);
        if (path.includes(":id")) assert.ok([403, 404].includes(seen.status), `${query} ${seen.status}: ${seen.text}`);
      }
      // Signed in by the dashboard's cookie as well, one is no more in the portal.
      const other = new DashboardClient(harness.gateway);
      await other.signIn(acme);
      const stranger = await act(other, method, pathOf(path, ids), ids);
      assert.equal(stranger.status, 401);
      assert.ok(!stranger.text.includes(SECRET));
    }
    assert.deepEqual(await harness.drivers.directory.list({ tenant: "acme" }, 10, null), before);
    assert.equal(await harness.drivers.deadLetters.count({ tenant: "acme" }), 1);
    assert.equal((await harness.drivers.retryQueue.depth()).count, 0);
  });

  if (scope === "manage") {
    test(`${method} ${path}: refused by a link that is for looking`, async () => {
      const { harness, acme, ids } = await open();
      await using _ = harness;
      const client = await enterPortal(harness, { read_only: true }, acme);
      const seen = await act(client, method, pathOf(path, ids), ids);
      assert.equal(seen.status, 403);
      assert.match(seen.words, /for looking only/);
    });
  }

  if (method === "GET") {
    test(`${method} ${path}: what others wrote stays text, and all that it leads to is of the portal`, async () => {
      const { harness, acme, ids } = await open();
      await using _ = harness;
      for (const [key, body] of [
        [acme, {}],
        [harness.operatorKey, { tenant: "acme" }],
      ] as const) {
        const client = await enterPortal(harness, body, key);
        const { status, text } = await client.visit(pathOf(path, ids));
        assert.equal(status, 200, text);
        assertSafe(text, PORTAL);
        const places = Array.from(text.matchAll(/\s(?:href|action|src|data-from)="([^"#?]*)/g), ([, to = ""]) => to);
        for (const place of places) assert.ok(isOfPortal(place), `${place} of ${path}`);
        assert.doesNotMatch(text, /phk_/);
      }
    });
  }
}

/** A page of it, what each page loads, or the page itself. */
function isOfPortal(place: string): boolean {
  if (["", "data:,", "/portal/style.css", "/portal/script.js", "/portal/sign-out", "/portal/tail"].includes(place))
    return true;
  return portalPages.some(({ path }) => {
    return new RegExp(`^${pathIn(PORTAL, path).replaceAll(/:(?:id|name)/g, "[\\w.-]+")}$`).test(place);
  });
}

test("the portal has no page of API keys, whoever asks", async () => {
  const { harness, acme } = await open();
  await using _ = harness;
  const client = await enterPortal(harness, {}, acme);
  for (const path of ["/portal/api-keys", "/portal/api-keys/key_1/revoke"]) {
    assert.equal((await client.visit(path)).status, 404);
    assert.equal((await client.send(path, { name: "a" })).status, 404);
  }
});

for (const { home } of [DASHBOARD, PORTAL]) {
  test(`${home}: the live stream is that of the API, for the session's tenant alone, and refused without one`, async () => {
    const { harness } = await open();
    await using _ = harness;
    const stranger = new DashboardClient(harness.gateway);
    assert.equal((await stranger.visit(`${home}/tail`)).status, 401);
    const key = await harness.createKey({ tenant: "beta" });
    const client = home === "/portal" ? await enterPortal(harness, {}, key) : stranger;
    if (client === stranger) await client.signIn(key);
    const headers = { cookie: client.cookie ?? "" };
    const response = await harness.gateway.fetch(new Request(`http://localhost${home}/tail`, { headers }));
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    const reader = response.body?.getReader();
    const read = async (): Promise<string> => new TextDecoder().decode((await reader?.read())?.value);
    assert.match(await read(), /watching/);
    await harness.call("POST", "/v1/events", { body: { type: "a.acme", data: 1, tenant: "acme" } });
    await harness.call("POST", "/v1/events", { body: { type: "a.beta", data: 1, tenant: "beta" } });
    await harness.clock.advance(200);
    const told = await read();
    assert.match(told, /"type":"a\.beta"/);
    assert.doesNotMatch(told, /acme/);
    const found = await harness.drivers.apiKeys.find(hashApiKey(key, testHasher));
    await harness.drivers.apiKeys.revoke(null, found?.id ?? "", harness.clock.now());
    await harness.clock.advance(3000);
    assert.match(await read(), /"code":"key-revoked"/);
  });
}
