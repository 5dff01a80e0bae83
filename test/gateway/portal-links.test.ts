/** `POST /v1/portal-links`: who may ask, what is asked, and what the link and the session that it opens are good for. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createGateway } from "@posthaste/gateway/app.ts";
import { portalPath, sealSession, signInPath } from "@posthaste/gateway/dashboard/session.ts";
import { DEFAULT_LIMITS } from "@posthaste/gateway/request/deps.ts";
import { hashApiKey } from "@posthaste/shared/domain/api-key.ts";
import { silentTelemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import { DashboardClient, movedTo } from "../support/dashboard-client.ts";
import { seededEntropy, testHasher } from "../support/ambient.ts";
import type { GatewayHarness } from "../support/gateway-harness.ts";
import {
  assertNames,
  assertProblem,
  at,
  openGatewayHarness,
  SEALER,
  send,
  textAt,
} from "../support/gateway-harness.ts";
import { askLink, enterPortal, tokenOf } from "../support/portal-links.ts";

const LINKS = "/v1/portal-links";
const refusedLink = /This link is too old, or is not whole/;

async function follow(harness: GatewayHarness, link: string) {
  return await new DashboardClient(harness.gateway).send("/portal/sign-in", { link });
}

async function revoke(harness: GatewayHarness, key: string): Promise<void> {
  const found = await harness.drivers.apiKeys.find(hashApiKey(key, testHasher));
  await harness.drivers.apiKeys.revoke(null, found?.id ?? "", harness.clock.now());
  await harness.clock.advance(2000);
}

test("a link is for five minutes and one tenant, at the origin that was asked, with its token behind #", async () => {
  await using harness = await openGatewayHarness();
  const answer = await harness.call("POST", LINKS, { body: { tenant: "acme" }, headers: { host: "hooks.example" } });
  assert.equal(answer.status, 201, answer.text);
  assert.match(textAt(answer.json, "url"), /^http:\/\/hooks\.example\/portal\/sign-in#sign-in=[\w-]{100,200}$/);
  assert.equal(at(answer.json, "tenant"), "acme");
  assert.equal(Date.parse(textAt(answer.json, "expires_at")), harness.clock.now() + 300_000);
  assert.equal(answer.headers.get("cache-control"), "no-store");
});

test("the link is at PORTAL_URL where that is set, whatever host was asked", async () => {
  await using harness = await openGatewayHarness({ portal: { url: "https://hooks.acme.example" } });
  const answer = await harness.call("POST", LINKS, { headers: { host: "gateway.internal", "x-forwarded-host": "x" } });
  assert.match(textAt(answer.json, "url"), /^https:\/\/hooks\.acme\.example\/portal\/sign-in#/);
});

for (const [name, body, place] of [
  ["a link for no time", { expires_in_s: 0 }, "#/expires_in_s"],
  ["a link for more than an hour", { expires_in_s: 3601 }, "#/expires_in_s"],
  ["a part of a second", { expires_in_s: 60.5 }, "#/expires_in_s"],
  ["a session of more than twelve hours", { session_s: 43_201 }, "#/session_s"],
  ["a session that is a text", { session_s: "60" }, "#/session_s"],
  ["a word for read_only", { read_only: "yes" }, "#/read_only"],
  ["a tenant that is none", { tenant: "a b" }, "#/tenant"],
  ["the operators' own tenant", { tenant: "operator" }, "#/tenant"],
  ["a field that there is not", { back: "https://a.example" }, "#/back"],
  ["a way back that is no address", { return_url: "/settings" }, "#/return_url"],
  ["a way back that is a script", { return_url: "javascript:alert(1)" }, "#/return_url"],
  ["a way back that is data", { return_url: "data:text/html,a" }, "#/return_url"],
  ["a way back over plain http", { return_url: "http://app.example/" }, "#/return_url"],
  ["a way back to what only looks like this machine", { return_url: "http://localhost.example/" }, "#/return_url"],
  ["a way back with a password", { return_url: "https://a:b@app.example/" }, "#/return_url"],
  ["a way back that is too long", { return_url: `https://app.example/${"a".repeat(981)}` }, "#/return_url"],
  ["a way back that becomes too long", { return_url: `https://app.example/${"ü".repeat(300)}` }, "#/return_url"],
  ["a way back of half a letter", { return_url: "https://app.example/\ud800" }, "#/return_url"],
  ["a way back that is a number", { return_url: 1 }, "#/return_url"],
] as const) {
  test(`422 for ${name}, which is named`, async () => {
    await using harness = await openGatewayHarness();
    const answer = await harness.call("POST", LINKS, { body });
    assertProblem(answer, 422, "validation-failed");
    assertNames(answer, place);
  });
}

test("400 for the operators' own tenant in the query, 403 for a key that may not read what the pages show", async () => {
  await using harness = await openGatewayHarness();
  const answer = await harness.call("POST", `${LINKS}?tenant=operator`, { body: {} });
  assertProblem(answer, 400, "invalid-query");
  assertNames(answer, "tenant");
  const key = await harness.createKey({ tenant: "acme", scopes: ["manage"] });
  assertProblem(await harness.call("POST", LINKS, { key, body: {} }), 403, "missing-scope");
});

test("a link opens a session of an hour, again and again until its end, and shows nothing of its key", async () => {
  await using harness = await openGatewayHarness();
  const key = await harness.createKey({ tenant: "acme", name: "the shop's own key" });
  const link = await askLink(harness, {}, key);
  for (let turn = 0; turn < 2; turn++) {
    const client = new DashboardClient(harness.gateway);
    const entered = await client.send("/portal/sign-in", { link });
    assert.equal(movedTo(entered), "/portal");
    const cookie = entered.headers.get("set-cookie") ?? "";
    assert.match(cookie, /^posthaste-portal=[\w-]{100,200}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax$/);
    assert.ok(!cookie.includes(hashApiKey(key, testHasher)));
    const home = await client.visit("/portal");
    assert.equal(home.status, 200);
    assert.doesNotMatch(home.text, /the shop's own key|phk_|API key|Docs/);
    assert.equal((await client.visit("/portal/events")).status, 200);
  }
});

const backOf = (text: string): readonly (string | undefined)[] =>
  (/<a class="back" href="([^"]*)" target="_top"\s*>([^<]*)</.exec(text) ?? []).slice(1);

test("each page of the portal leads back to where its people came from, and nowhere without", async () => {
  await using harness = await openGatewayHarness({ portal: { origins: ["https://app.example"] } });
  const longest = `https://app.example/${"a".repeat(980)}`;
  for (const [given, href, name] of [
    [
      "https://app.example/settings?tab=hooks#webhooks",
      "https://app.example/settings?tab=hooks#webhooks",
      "app.example",
    ],
    [`https://APP.example/"'><script>`, "https://app.example/%22&#39;%3E%3Cscript%3E", "app.example"],
    ["http://localhost:3000", "http://localhost:3000/", "localhost:3000"],
    ["http://[::1]:3000/a", "http://[::1]:3000/a", "[::1]:3000"],
    [longest, longest, "app.example"],
  ] as const) {
    const client = await enterPortal(harness, { tenant: "acme", return_url: given });
    for (const path of ["/portal", "/portal/events", "/portal/events/evt_none", "/portal/endpoints/new"]) {
      assert.deepEqual(backOf((await client.visit(path)).text), [href, `Back to ${name}`], `${path} ${given}`);
    }
    assert.ok((client.cookie ?? "").length < 2000, "browsers keep 4,096 bytes");
  }
  const without = await enterPortal(harness, { tenant: "acme" });
  assert.deepEqual(backOf((await without.visit("/portal")).text), []);
  assert.doesNotMatch((await without.visit("/portal")).text, /Back to/);
});

test("who signs in with a key has no way back", async () => {
  await using harness = await openGatewayHarness();
  const client = new DashboardClient(harness.gateway);
  await client.signIn(harness.operatorKey);
  assert.doesNotMatch((await client.visit("/dashboard")).text, /class="back"/);
});

test("an expired link is refused, and who is in already with another stays so", async () => {
  await using harness = await openGatewayHarness();
  const client = await enterPortal(harness, { tenant: "acme" });
  const link = await askLink(harness, { tenant: "beta", expires_in_s: 60 });
  await harness.clock.advance(59_999);
  assert.equal((await follow(harness, link)).status, 303);
  await harness.clock.advance(1);
  for (const who of [client, new DashboardClient(harness.gateway)]) {
    const seen = await who.send("/portal/sign-in", { link });
    assert.equal(seen.status, 401);
    assert.match(seen.words, refusedLink);
    assert.equal(seen.headers.get("set-cookie"), null);
    assert.doesNotMatch(seen.text, /acme|beta/);
  }
  assert.equal((await client.visit("/portal/events")).status, 200);
});

test("an altered link is refused, at whichever letter", async () => {
  await using harness = await openGatewayHarness();
  const link = await askLink(harness, { tenant: "acme" });
  const other = (letter: string): string => (letter === "A" ? "B" : "A");
  // The last letter has bits that stand for nothing.
  for (let place = 0; place < link.length - 1; place++) {
    const altered = link.slice(0, place) + other(link.charAt(place)) + link.slice(place + 1);
    const seen = await follow(harness, altered);
    assert.equal(seen.status, 401, `letter ${place}`);
    assert.match(seen.words, refusedLink);
  }
  for (const wrong of [link.slice(1), link.slice(0, -4), `${link}AAAA`, "", "x".repeat(4000)]) {
    assert.equal((await follow(harness, wrong)).status, 401, wrong.slice(0, 40));
  }
});

test("what was sealed for another purpose is no link, and a link is nothing else", async () => {
  await using harness = await openGatewayHarness();
  const [hash, nowMs] = [hashApiKey(harness.operatorKey, testHasher), harness.clock.now()];
  const portal = { tenant: "acme", mayChange: true, sessionMs: 60_000, returnUrl: null };
  const session = { hash, endsAtMs: nowMs + 60_000 };
  const link = tokenOf(portalPath(SEALER, { ...session, portal }));
  const portalSession = sealSession(SEALER, { ...session, portal }, "portal session");
  const dashboardSession = sealSession(SEALER, session, "dashboard session");
  const signInLink = signInPath(SEALER, hash, nowMs).replace(/^.*=/, "");
  for (const wrong of [portalSession, dashboardSession, signInLink]) {
    assert.equal((await follow(harness, wrong)).status, 401);
  }
  const client = new DashboardClient(harness.gateway);
  assert.equal((await client.send("/dashboard/sign-in", { link })).status, 401);
  for (const [cookie, path] of [
    [`posthaste-portal=${link}`, "/portal/events"],
    [`posthaste-portal=${dashboardSession}`, "/portal/events"],
    [`posthaste-portal=${portalSession}`, "/dashboard/events"],
    [`posthaste-session=${portalSession}`, "/dashboard/events"],
    [`posthaste-session=${dashboardSession}`, "/portal/events"],
  ] as const) {
    client.cookie = cookie;
    assert.equal((await client.visit(path)).status, 401, `${cookie.slice(0, 20)} ${path}`);
  }
  client.cookie = `posthaste-portal=${portalSession}`;
  assert.equal((await client.visit("/portal/events")).status, 200);
});

test("a session ends when its time is over", async () => {
  await using harness = await openGatewayHarness();
  const client = await enterPortal(harness, { tenant: "acme", session_s: 60 });
  await harness.clock.advance(59_999);
  assert.equal((await client.visit("/portal/events")).status, 200);
  await harness.clock.advance(1);
  const ended = await client.visit("/portal/events");
  assert.equal(ended.status, 401);
  assert.match(ended.words, /Your session has ended.*Go back to where you came from/);
});

test("a stream of the live page ends with its session", async () => {
  await using harness = await openGatewayHarness();
  const client = await enterPortal(harness, { tenant: "acme", session_s: 60 });
  const headers = { cookie: client.cookie ?? "" };
  const response = await harness.gateway.fetch(new Request("http://localhost/portal/tail", { headers }));
  const reader = response.body?.getReader();
  const read = async (): Promise<string> => new TextDecoder().decode((await reader?.read())?.value);
  assert.match(await read(), /watching/);
  await harness.clock.advance(57_000);
  await harness.call("POST", "/v1/events", { body: { type: "a.acme", data: 1, tenant: "acme" } });
  await harness.clock.advance(1000);
  assert.match(await readUntil(read, /a\.acme|event: end/), /a\.acme/);
  await harness.clock.advance(6000);
  assert.match(await readUntil(read, /event: end/), /Your session has ended/);
});

/** What is told up to there; heartbeats come in between. */
async function readUntil(read: () => Promise<string>, pattern: RegExp): Promise<string> {
  for (let turn = 0; turn < 20; turn++) {
    const text = await read();
    if (pattern.test(text)) return text;
  }
  return assert.fail(`${String(pattern)} was not told`);
}

test("revoking the key that made a link ends the link, the sessions that it opened, and their forms", async () => {
  await using harness = await openGatewayHarness();
  const key = await harness.createKey({ tenant: "acme" });
  const [client, link] = [await enterPortal(harness, {}, key), await askLink(harness, {}, key)];
  await revoke(harness, key);
  assert.equal((await client.visit("/portal/events")).status, 401);
  assert.equal((await client.send("/portal/endpoints/new", { url: "https://a.example/" })).status, 401);
  const refused = await follow(harness, link);
  assert.equal(refused.status, 401);
  assert.match(refused.words, refusedLink);
  assert.equal((await harness.drivers.directory.list({ tenant: null }, 10, null)).rows.length, 0);
});

test("a link that looks: every page, and no form but the way out", async () => {
  await using harness = await openGatewayHarness();
  const client = await enterPortal(harness, { tenant: "acme", read_only: true });
  const home = await client.visit("/portal");
  assert.match(home.words, /may only look/);
  const refused = await client.send("/portal/endpoints/new", { url: "https://a.example/" });
  assert.equal(refused.status, 403);
  assert.match(refused.words, /The link that you came by is for looking only/);
  assert.equal(movedTo(await client.send("/portal/sign-out", {})), "/portal");
  assert.equal((await client.visit("/portal")).status, 401);
});

test("dashboard and portal in one browser are two sessions: each ends by itself", async () => {
  await using harness = await openGatewayHarness();
  const client = await enterPortal(harness, { tenant: "acme" });
  const portal = client.cookie ?? "";
  await client.signIn(harness.operatorKey);
  const both = `${client.cookie ?? ""}; ${portal}`;
  client.cookie = both;
  assert.match((await client.visit("/dashboard")).words, /operator · /);
  const home = await client.visit("/portal");
  assert.doesNotMatch(home.words, /operator/);
  const { headers } = await client.send("/portal/sign-out", {});
  assert.match(headers.get("set-cookie") ?? "", /^posthaste-portal=; /);
  client.cookie = both;
  assert.equal(
    (await client.send("/dashboard/sign-out", {})).status,
    403,
    "a token of the portal is none of the dashboard",
  );
});

test("portals by one key count each by itself: one that reads much slows down no other", async () => {
  await using harness = await openGatewayHarness();
  const rateLimit = { limit: 8, windowMs: 60_000, failureMode: "local" } as const;
  const key = await harness.createKey({ rateLimit });
  const [acme, beta] = [
    await enterPortal(harness, { tenant: "acme" }, key),
    await enterPortal(harness, { tenant: "beta" }, key),
  ];
  const statuses: number[] = [];
  for (let turn = 0; turn < 8; turn++) statuses.push((await acme.visit("/portal/events")).status);
  assert.ok(statuses.includes(429), String(statuses));
  assert.equal((await beta.visit("/portal/events")).status, 200);
  assert.equal((await harness.call("GET", "/v1/events", { key })).status, 200);
});

for (const [what, headers] of [
  ["another site", { "sec-fetch-site": "cross-site" }],
  ["a page that has it in a frame", { "sec-fetch-site": "cross-site", origin: "https://app.acme.example" }],
  ["another origin", { origin: "https://app.acme.example" }],
] as const) {
  test(`403 for a form of ${what}, framed or not, and nothing is done`, async () => {
    await using harness = await openGatewayHarness({ portal: { origins: ["https://app.acme.example"] } });
    const client = await enterPortal(harness, { tenant: "acme" });
    const link = await askLink(harness, { tenant: "beta" });
    for (const [path, fields] of [
      ["/portal/endpoints/new", { url: "https://a.example/" }],
      ["/portal/sign-in", { link }],
      ["/portal/sign-out", {}],
    ] as const) {
      const seen = await client.send(path, fields, headers);
      assert.equal(seen.status, 403, path);
      assert.equal(seen.headers.get("set-cookie"), null);
    }
    const other = await enterPortal(harness, { tenant: "acme" });
    const foreign = await client.send("/portal/endpoints/new", { url: "https://a.example/", token: other.token });
    assert.equal(foreign.status, 403);
    assert.equal((await harness.drivers.directory.list({ tenant: null }, 10, null)).rows.length, 0);
  });
}

test("only the origins that are set may have the portal in a frame, and nobody the dashboard", async () => {
  const origins = ["https://app.acme.example", "https://b.example"];
  for (const [portal, ancestors] of [
    [{}, "'none'"],
    [{ origins }, origins.join(" ")],
  ] as const) {
    await using harness = await openGatewayHarness({ portal });
    const client = await enterPortal(harness, { tenant: "acme" });
    const policyOf = async (path: string): Promise<string> =>
      (await client.visit(path)).headers.get("content-security-policy") ?? "";
    for (const path of ["/portal", "/portal/sign-in", "/portal/events", "/portal/endpoints/none"]) {
      assert.ok((await policyOf(path)).includes(`form-action 'self'; frame-ancestors ${ancestors}; base-uri`), path);
    }
    client.cookie = null;
    assert.ok((await policyOf("/portal/events")).includes(`frame-ancestors ${ancestors};`));
    assert.ok((await policyOf("/dashboard")).includes("frame-ancestors 'none';"));
  }
});

test("framed, the cookie is for https and this machine, and for the site of the frame alone", async () => {
  await using harness = await openGatewayHarness({ portal: { origins: ["https://app.acme.example"] } });
  const link = await askLink(harness, { tenant: "acme" });
  const cookieFor = async (origin: string): Promise<string> => {
    const headers = { origin, host: new URL(origin).host };
    const seen = await new DashboardClient(harness.gateway).send("/portal/sign-in", { link }, headers);
    return seen.headers.get("set-cookie")?.replace(/=[\w-]{60,}/, "=...") ?? "";
  };
  const framed = "Path=/; Max-Age=3600; HttpOnly; SameSite=None; Partitioned; Secure";
  assert.equal(await cookieFor("https://hooks.example"), `__Host-posthaste-portal=...; ${framed}`);
  assert.equal(await cookieFor("http://127.0.0.1:8080"), `posthaste-portal=...; ${framed}`);
  assert.equal(
    await cookieFor("http://hooks.example"),
    "posthaste-portal=...; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax",
  );
});

test("name, colour and logo are those that are set, and the dashboard keeps its own", async () => {
  const logo = { bytes: Uint8Array.of(0x89, 0x50, 0x4e, 0x47), type: "image/png" } as const;
  await using harness = await openGatewayHarness({ portal: { name: "Acme <Hooks>", colour: "#c0ffee", logo } });
  const client = await enterPortal(harness, { tenant: "acme" });
  const { text } = await client.visit("/portal");
  assert.match(text, /<title>Overview · Acme &lt;Hooks&gt;<\/title>/);
  assert.match(text, /<span class="logo" aria-hidden="true"><\/span> Acme &lt;Hooks&gt;/);
  const style = (await client.visit("/portal/style.css")).text;
  assert.match(style, /\.logo \{ content: url\("data:image\/png;base64,iVBORw=="\)/);
  assert.match(style, /--main: #c0ffee; --on-main: #000000/);
  assert.doesNotMatch((await client.visit("/dashboard/style.css")).text, /c0ffee|\.logo/);
  await using plain = await openGatewayHarness();
  const other = await enterPortal(plain, { tenant: "acme" });
  assert.doesNotMatch((await other.visit("/portal")).text, /class="logo"/);
});

test("without a dashboard, as at the edge, there is no portal: 501 and 404", async () => {
  await using harness = await openGatewayHarness();
  const gateway = createGateway({
    drivers: harness.drivers,
    transport: { vet: async () => ({ kind: "allowed" }) },
    clock: harness.clock,
    entropy: seededEntropy(2),
    hasher: testHasher,
    telemetry: silentTelemetry,
    collectMetrics: async () => "",
    limits: DEFAULT_LIMITS,
  });
  const wish = { key: harness.operatorKey, body: { tenant: "acme" } };
  assertProblem(await send(gateway, "POST", LINKS, wish), 501, "not-at-edge");
  assert.equal((await send(gateway, "GET", "/portal", {})).status, 404);
});
