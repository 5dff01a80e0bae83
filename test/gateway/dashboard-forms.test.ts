/** What the forms of the dashboard do, and what they say when it is refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DashboardClient, movedTo } from "../support/dashboard-client.ts";
import { openGatewayHarness, textAt } from "../support/gateway-harness.ts";
import type { StatEntry } from "@posthaste/shared/ports/stats.ts";

async function open(tenant: string | null = "acme") {
  const harness = await openGatewayHarness({
    vet: (url) =>
      url.includes("10.0.0.1") ? { kind: "forbidden", reason: "the address is private" } : { kind: "allowed" },
  });
  const client = new DashboardClient(harness.gateway);
  await client.signIn(tenant === null ? harness.operatorKey : await harness.createKey({ tenant }));
  return { harness, client };
}

async function createEndpoint(client: DashboardClient, url = "https://acme.example/"): Promise<string> {
  const { status, text } = await client.send("/dashboard/endpoints/new", { url, event_types: "order.*, invoice.paid" });
  assert.equal(status, 201, text);
  return /\/dashboard\/endpoints\/(ep_\w+)/.exec(text)?.[1] ?? "";
}

test("an endpoint is created, its secret shown once, and its settings are those that were typed", async () => {
  const { harness, client } = await open();
  await using _ = harness;
  const created = await client.send("/dashboard/endpoints/new", {
    url: "https://acme.example/hooks",
    event_types: "order.*, invoice.paid",
    description: "Billing & more",
  });
  assert.equal(created.status, 201);
  const secret = /whsec_[A-Za-z0-9+/=]+/.exec(created.text)?.[0] ?? "";
  const id = /\/dashboard\/endpoints\/(ep_\w+)/.exec(created.text)?.[1] ?? "";
  const shown = await client.visit(`/dashboard/endpoints/${id}`);
  assert.ok(!shown.text.includes(secret));
  for (const words of ["https://acme.example/hooks", "order.*, invoice.paid", "Billing &amp; more"]) {
    assert.ok(shown.text.includes(words), words);
  }
  const [endpoint] = (await harness.drivers.directory.list({ tenant: "acme" }, 10, null)).rows;
  assert.equal(endpoint?.secrets[0]?.secret, secret);
});

for (const [fields, name, words] of [
  [{ url: "ftp://x" }, "url", /URL must/],
  [{ url: "https://10.0.0.1/" }, "url", /URL the address is private/],
  [{ url: "https://a.example/", event_types: "a..b" }, "event_types", /Event types must be/],
  [{ url: "https://a.example/", description: "x".repeat(501) }, "description", /Description must/],
] as const) {
  test(`what is wrong with ${name} is said at its field, and what was typed stays: ${fields.url}`, async () => {
    const { harness, client } = await open();
    await using _ = harness;
    const { status, text } = await client.send("/dashboard/endpoints/new", fields);
    assert.equal(status, 422);
    assert.match(
      text,
      new RegExp(`id="f-${name}"[^>]*aria-invalid="true"[^>]*aria-describedby="f-${name}-hint f-${name}-wrong"`, "s"),
    );
    assert.match(/id="f-\w+-wrong">([^<]*)</.exec(text)?.[1] ?? "", words);
    for (const typed of Object.values(fields)) assert.ok(text.includes(`value="${typed}"`), typed);
    assert.equal((await harness.drivers.directory.list({ tenant: "acme" }, 10, null)).rows.length, 0);
  });
}

test("an endpoint is changed, paused, resumed, given a new secret and deleted", async () => {
  const { harness, client } = await open();
  await using _ = harness;
  const id = await createEndpoint(client);
  const of = (what: string): string => `/dashboard/endpoints/${id}/${what}`;
  const status = async () => (await harness.drivers.directory.list({ tenant: "acme" }, 10, null)).rows[0]?.status;
  assert.match((await client.visit(of("edit"))).text, /value="order\.\*, invoice\.paid"/);
  const changed = movedTo(
    await client.send(of("edit"), { url: "https://b.example/", event_types: "", description: "d" }),
  );
  assert.match((await client.visit(changed)).words, /https:\/\/b\.example\/.*The settings are saved/);
  const paused = movedTo(await client.send(of("state"), { paused: "true" }));
  assert.match((await client.visit(paused)).text, /The endpoint is paused/);
  assert.equal(await status(), "paused");
  await client.send(of("state"), { from: "paused" });
  assert.equal(await status(), "active");
  assert.match((await client.send(of("rotate-secret"), {})).text, /whsec_/);
  assert.equal(movedTo(await client.send(of("delete"), {})), "/dashboard/endpoints");
  assert.equal(await status(), undefined);
});

test("an endpoint that we disabled is enabled again", async () => {
  const { harness, client } = await open();
  await using _ = harness;
  const id = await createEndpoint(client);
  await harness.drivers.directory.update("acme", id, (endpoint) => ({
    ...endpoint,
    status: "disabled",
    statusReason: "it answered 410",
    statusSinceMs: harness.clock.now(),
  }));
  assert.match((await client.visit(`/dashboard/endpoints/${id}`)).text, /disabled[\s\S]*it answered 410/);
  await client.send(`/dashboard/endpoints/${id}/state`, { from: "disabled" });
  assert.equal((await harness.drivers.directory.list({ tenant: "acme" }, 10, null)).rows[0]?.status, "active");
});

test("a test event of a chosen type goes to this endpoint alone", async () => {
  const { harness, client } = await open();
  await using _ = harness;
  const id = await createEndpoint(client);
  await createEndpoint(client, "https://other.example/");
  const sent = movedTo(await client.send(`/dashboard/endpoints/${id}/test`, { type: "order.late" }));
  assert.match((await client.visit(sent)).text, /The test event[\s\S]*is on its way/);
  await harness.clock.advance(1000);
  const due = await harness.takeDue();
  assert.deepEqual(
    due.map(({ members, endpointId }) => [members[0]?.type, endpointId]),
    [["order.late", id]],
  );
  const refused = await client.send(`/dashboard/endpoints/${id}/test`, { type: "posthaste.mine" });
  assert.equal(refused.status, 422);
  assert.match(refused.text, /id="f-type-wrong"/);
});

test("an event is shown with its story and its data as they were published, and is sent again", async () => {
  const { harness, client } = await open();
  await using _ = harness;
  await createEndpoint(client);
  const key = await harness.createKey({ tenant: "acme" });
  const body = '{"type":"order.paid","id":"order-1","data":{"amount":1e400,"n":12.50}}';
  await harness.call("POST", "/v1/events", { key, body });
  assert.equal(movedTo(await client.visit("/dashboard/events?id=order-1")), "/dashboard/events/order-1");
  const shown = await client.visit("/dashboard/events/order-1");
  assert.match(shown.words, /Accepted<\/strong>.*into the lane <strong>medium<\/strong>/);
  assert.match(shown.words, /Waits for a processor; it may be under way there/);
  assert.match(shown.text, /\{\n {2}&quot;amount&quot;: 1e400,\n {2}&quot;n&quot;: 12\.50\n\}/);
  const again = movedTo(await client.send("/dashboard/events/order-1/resend", {}));
  assert.match((await client.visit(again)).text, /It is replayed: 1 delivery is on the way/);
  assert.equal((await harness.drivers.retryQueue.depth()).count, 1);
});

test("what cannot be sent again says why, on the page of the event", async () => {
  const { harness, client } = await open();
  await using _ = harness;
  const key = await harness.createKey({ tenant: "acme" });
  await harness.call("POST", "/v1/events", { key, body: { type: "order.paid", id: "order-1", data: 1 } });
  const { status, text } = await client.send("/dashboard/events/order-1/resend", {});
  assert.equal(status, 409);
  assert.match(text, /role="alert"[\s\S]*No endpoint of the tenant subscribes to order\.paid/);
});

test("dead letters are replayed and deleted, those that are chosen and no other", async () => {
  const { harness, client } = await open();
  await using _ = harness;
  const endpointId = await createEndpoint(client);
  const letters = await Promise.all([1, 2, 3].map(() => harness.addDeadLetter({ endpointId, tenant: "acme" })));
  const [first, second, third] = letters.map(({ id }) => id);
  const ids = [first ?? "", second ?? ""];
  const replayed = movedTo(await client.send("/dashboard/dead-letters/chosen", { id: ids, do: "replay" }));
  assert.match((await client.visit(replayed)).text, /2 dead letters replayed/);
  assert.equal((await harness.drivers.retryQueue.depth()).count, 2);
  const again = movedTo(await client.send("/dashboard/dead-letters/chosen", { id: ids, do: "replay" }));
  assert.match((await client.visit(again)).text, /2 refused \(not-found\)/);
  const deleted = movedTo(await client.send("/dashboard/dead-letters/chosen", { id: third ?? "", do: "delete" }));
  assert.match((await client.visit(deleted)).text, /1 dead letter deleted[\s\S]*Nothing is dead or held here/);
  assert.equal(await harness.drivers.deadLetters.count({ tenant: "acme" }), 0);
});

test("all dead letters that fit a filter are counted first, and replayed at a rate", async () => {
  const { harness, client } = await open(null);
  await using _ = harness;
  const endpoint = await harness.call("POST", "/v1/endpoints", { body: { url: "https://a.example/", tenant: "acme" } });
  const endpointId = textAt(endpoint.json, "id");
  await harness.addDeadLetter({ endpointId, tenant: "acme" });
  await harness.addDeadLetter({ endpointId, tenant: "acme", deadLetter: { state: "paused" } });
  const path = `/dashboard/dead-letters/replay?endpoint_id=${endpointId}&state=dead&tenant=acme`;
  assert.match((await client.visit(path)).text, /1 dead letter fits/);
  const wrong = await client.send(path, { rate_per_s: "5000" });
  assert.equal(wrong.status, 422);
  assert.equal(await harness.drivers.deadLetters.count({ tenant: "acme" }), 2);
  const done = movedTo(await client.send(path, { rate_per_s: "10" }));
  assert.match((await client.visit(done)).text, /1 dead letter replayed/);
  assert.equal(await harness.drivers.deadLetters.count({ tenant: "acme" }), 1);
});

test("an API key is made, shown once, and revoked", async () => {
  const { harness, client } = await open(null);
  await using _ = harness;
  const created = await client.send("/dashboard/api-keys", {
    name: "shop",
    tenant: "acme",
    scopes: ["publish", "read"],
  });
  assert.equal(created.status, 201);
  const key = /phk_[0-9a-z]{40}/.exec(created.text)?.[0] ?? "";
  const mine = await harness.call("GET", "/v1/events", { key });
  assert.equal(mine.status, 200);
  const listed = await client.visit("/dashboard/api-keys");
  assert.ok(!listed.text.includes(key));
  const id = /\/dashboard\/api-keys\/(key_\w+)\/revoke/.exec(listed.text)?.[1] ?? "";
  movedTo(await client.send(`/dashboard/api-keys/${id}/revoke`, {}));
  await harness.clock.advance(2000);
  assert.equal((await harness.call("GET", "/v1/events", { key })).status, 401);
  const none = await client.send("/dashboard/api-keys", { name: "", scopes: [] });
  assert.equal(none.status, 422);
  assert.match(none.text, /id="f-name-wrong"/);
  assert.match(none.text, /The scopes must name at least one scope/);
});

test("lists go page by page with the store's own cursors, and a filter that is wrong says so at its field", async () => {
  const { harness, client } = await open();
  await using _ = harness;
  const key = await harness.createKey({ tenant: "acme" });
  const events = Array.from({ length: 40 }, (_each, index) => ({
    type: "order.paid",
    id: `order-${index}`,
    data: index,
  }));
  await harness.call("POST", "/v1/events/batch", { key, body: { events } });
  const idsOf = (text: string): readonly string[] =>
    Array.from(text.matchAll(/href="\/dashboard\/events\/(order-\d+)"/g), ([, id = ""]) => id);
  const first = await client.visit("/dashboard/events?type=order.paid");
  const next = /href="(\/dashboard\/events\?[^"]*cursor=[^"]*)"/.exec(first.text)?.[1]?.replaceAll("&amp;", "&") ?? "";
  assert.match(next, /type=order\.paid/);
  const second = await client.visit(next);
  assert.equal(new Set([...idsOf(first.text), ...idsOf(second.text)]).size, 40);
  assert.match(second.text, /This is the last page/);
  const wrong = await client.visit("/dashboard/events?type=a..b");
  assert.equal(wrong.status, 400);
  assert.match(wrong.text, /id="f-type-wrong"/);
  assert.equal((await client.visit("/dashboard/events?since=2026-01-31T12:00&until=2026-01-31T12:01")).status, 200);
});

test("a page costs the calls that it makes: past the key's rate limit it says so", async () => {
  const { harness } = await open();
  await using _ = harness;
  const client = new DashboardClient(harness.gateway);
  const rateLimit = { limit: 2, windowMs: 60_000, failureMode: "local" } as const;
  await client.signIn(await harness.createKey({ tenant: "acme", rateLimit }));
  const { status, text } = await client.visit("/dashboard/events");
  assert.equal(status, 429);
  assert.match(text, /Rate limit exceeded/);
});

test("the overview says what to do next, what is degraded, and which alerts stand", async () => {
  const board = JSON.stringify({
    "age-high": { sinceMs: 1, seenAtMs: 1, value: 12, resolvedAtMs: null, isSent: true },
  });
  const harness = await openGatewayHarness({
    wrap: (drivers) => ({ ...drivers, degraded: async () => ["Kafka is away; <Redis> keeps what comes"] }),
  });
  await using _ = harness;
  await harness.drivers.alertBoard.replace(null, board);
  const of = { tenant: "acme", lane: "high", atMs: harness.clock.now() } as const;
  const ended = { ...of, kind: "attempt", endpointId: "ep_1", durationMs: 9, sinceDueMs: [90], seen: null } as const;
  const accepted = { ...of, kind: "accepted", type: "order.paid" } as const;
  harness.drivers.stats.add(Array.from({ length: 7 }, () => accepted));
  harness.drivers.stats.add(
    ["delivered", "delivered", "delivered", "dead"].map((outcome) => ({ ...ended, outcome }) as StatEntry),
  );
  const client = new DashboardClient(harness.gateway);
  await client.signIn(harness.operatorKey);
  const { words: text } = await client.visit("/dashboard");
  assert.match(text, /What to do next[\s\S]*\/dashboard\/endpoints\/new[\s\S]*curl -i http:\/\/localhost\/v1\/events/);
  assert.match(text, /a fallback in force[\s\S]*Kafka is away; &lt;Redis&gt; keeps what comes/);
  assert.match(text, /An alert stands[\s\S]*age-high<\/strong> \(critical\)[\s\S]*12 s\. The oldest HIGH event/);
  assert.match(
    text,
    /<strong>HIGH<\/strong>[\s\S]*>1\.8 a minute<[\s\S]*>0\.8 a minute<[\s\S]*75 %[\s\S]*99 % within 100 ms/,
  );
  assert.match(text, /7 accepted, 3 delivered, 1 attempt failed; the busiest minute took 7/);
  const tenant = new DashboardClient(harness.gateway);
  await tenant.signIn(await harness.createKey({ tenant: "acme" }));
  assert.doesNotMatch((await tenant.visit("/dashboard")).text, /Kafka|age-high|Lanes/);
});
