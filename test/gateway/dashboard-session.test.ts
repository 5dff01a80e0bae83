/** Signing in to the dashboard and out of it: whose session is one, how long, and which forms are taken. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { hashApiKey } from "@posthaste/shared/domain/api-key.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { sealSession, SESSION_MS, signInPath } from "@posthaste/gateway/dashboard/session.ts";
import { DashboardClient, movedTo, ORIGIN } from "../support/dashboard-client.ts";
import { testHasher } from "../support/ambient.ts";
import { openGatewayHarness, SEALER } from "../support/gateway-harness.ts";

const linkOf = (key: string, nowMs: number): string =>
  signInPath(SEALER, hashApiKey(key, testHasher), nowMs).replace(/^.*#sign-in=/, "");

async function open() {
  const harness = await openGatewayHarness();
  return { harness, client: new DashboardClient(harness.gateway) };
}

test("who is not signed in gets the page to sign in, wherever it is asked for", async () => {
  const { harness, client } = await open();
  await using _ = harness;
  const home = await client.visit("/dashboard");
  assert.equal(home.status, 200);
  assert.match(home.text, /<h1>Sign in<\/h1>/);
  const other = await client.visit("/dashboard/events?type=a.b");
  assert.equal(other.status, 401);
  assert.match(other.text, /name="next" value="\/dashboard\/events\?type=a\.b"/);
  for (const { headers } of [home, other]) {
    assert.match(
      headers.get("content-security-policy") ?? "",
      /^default-src 'none'; script-src 'self'; style-src 'self'; /,
    );
    assert.match(
      headers.get("content-security-policy") ?? "",
      /form-action 'self'; frame-ancestors 'none'; base-uri 'none'$/,
    );
    assert.equal(headers.get("cache-control"), "no-store");
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.equal(headers.get("referrer-policy"), "same-origin");
  }
});

test("a key signs in: the cookie is for this site's pages alone, and ends with the session", async () => {
  const { harness, client } = await open();
  await using _ = harness;
  const seen = await client.send("/dashboard/sign-in", {
    key: harness.operatorKey,
    next: "/dashboard/events?state=dead",
  });
  assert.equal(movedTo(seen), "/dashboard/events?state=dead");
  const cookie = seen.headers.get("set-cookie") ?? "";
  assert.match(cookie, /^posthaste-session=[\w-]{60,120}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/);
  assert.ok(!cookie.includes(harness.operatorKey));
  assert.ok(!cookie.includes(hashApiKey(harness.operatorKey, testHasher)));
  assert.equal((await client.visit("/dashboard/events")).status, 200);
});

test("over https the cookie is Secure and bound to the host", async () => {
  const { harness, client } = await open();
  await using _ = harness;
  const https = { origin: "https://hooks.example", host: "hooks.example" };
  const seen = await client.send("/dashboard/sign-in", { key: harness.operatorKey }, https);
  assert.match(
    seen.headers.get("set-cookie") ?? "",
    /^__Host-posthaste-session=[\w-]+; Path=\/; .*; SameSite=Strict; Secure$/,
  );
  assert.equal((await client.visit("/dashboard/events")).status, 200);
});

test("over https the plain cookie is none of ours: any host of the site could have set it", async () => {
  const { harness, client } = await open();
  await using _ = harness;
  await client.signIn(harness.operatorKey);
  const planted = client.cookie;
  for (const [headers, status] of [
    [{ host: "hooks.example", "sec-fetch-site": "same-origin" }, 401],
    [{ host: "hooks.example", "x-forwarded-proto": "https" }, 401],
    [{ host: "10.0.0.5:8080" }, 200],
    [{ host: "localhost:8080", "sec-fetch-site": "same-origin" }, 200],
    [{ host: "hooks.localhost:8080", "sec-fetch-site": "same-origin" }, 200],
  ] as const) {
    client.cookie = planted;
    assert.equal((await client.visit("/dashboard/events", headers)).status, status, JSON.stringify(headers));
    client.cookie = `__Host-${planted}`;
    assert.equal((await client.visit("/dashboard/events", headers)).status, 200, JSON.stringify(headers));
  }
});

for (const [name, parts, words] of [
  ["unknown", null, "This API key is not known."],
  ["revoked", { revokedAtMs: 1 }, "This API key was revoked; use another one."],
  ["expired", { expiresAtMs: 1 }, "This API key has expired; create a new one."],
] as const) {
  test(`401 and no cookie for a key that is ${name}`, async () => {
    const { harness, client } = await open();
    await using _ = harness;
    const key = parts === null ? `phk_${"z".repeat(40)}` : await harness.createKey(parts);
    const seen = await client.send("/dashboard/sign-in", { key });
    assert.equal(seen.status, 401);
    assert.equal(seen.headers.get("set-cookie"), null);
    assert.ok(seen.text.includes(words), seen.text);
    assert.ok(!seen.text.includes(key), "what was typed is not sent back");
  });
}

test("a session ends after twelve hours", async () => {
  const { harness, client } = await open();
  await using _ = harness;
  await client.signIn(harness.operatorKey);
  await harness.clock.advance(SESSION_MS - 1000);
  assert.equal((await client.visit("/dashboard/events")).status, 200);
  await harness.clock.advance(1001);
  const ended = await client.visit("/dashboard/events");
  assert.equal(ended.status, 401);
  assert.match(ended.text, /Your session has ended/);
});

test("a session ends when its key is revoked, and its forms are taken no more", async () => {
  const { harness, client } = await open();
  await using _ = harness;
  const key = await harness.createKey({ id: "key_0000000000000000000000000001", tenant: "acme" });
  await client.signIn(key);
  const found = await harness.drivers.apiKeys.find(hashApiKey(key, testHasher));
  await harness.drivers.apiKeys.revoke(null, found?.id ?? "", harness.clock.now());
  await harness.clock.advance(2000);
  assert.match((await client.visit("/dashboard/events")).text, /This API key was revoked/);
  const sent = await client.send("/dashboard/endpoints/new", { url: "https://a.example/" });
  assert.equal(sent.status, 401);
  assert.equal((await harness.drivers.directory.list({ tenant: null }, 10, null)).rows.length, 0);
});

test("a cookie that is altered, made for something else, or made with another end is none", async () => {
  const { harness, client } = await open();
  await using _ = harness;
  await client.signIn(harness.operatorKey);
  const [name = "", value = ""] = (client.cookie ?? "").split("=");
  const nowMs = harness.clock.now();
  const hash = hashApiKey(harness.operatorKey, testHasher);
  const altered = `${value.slice(0, -2)}${value.endsWith("A") ? "BB" : "AA"}`;
  const past = sealSession(SEALER, { hash, endsAtMs: nowMs }, "dashboard session");
  for (const wrong of [altered, value.slice(1), "", "x".repeat(5000), past, linkOf(harness.operatorKey, nowMs)]) {
    client.cookie = `${name}=${wrong}`;
    assert.equal((await client.visit("/dashboard/events")).status, 401, wrong.slice(0, 100));
  }
});

test("a link signs in once and within the hour; who is in already is led on", async () => {
  const { harness, client } = await open();
  await using _ = harness;
  const link = linkOf(harness.operatorKey, harness.clock.now());
  assert.equal(movedTo(await client.send("/dashboard/sign-in", { link })), "/dashboard");
  assert.equal((await client.visit("/dashboard/events")).status, 200);
  assert.equal(movedTo(await client.send("/dashboard/sign-in", { link })), "/dashboard");
  const other = new DashboardClient(harness.gateway);
  const again = await other.send("/dashboard/sign-in", { link });
  assert.equal(again.status, 401);
  assert.match(again.text, /used before, or is too old/);
  const late = linkOf(harness.operatorKey, harness.clock.now());
  await harness.clock.advance(3600 * 1000);
  assert.equal((await other.send("/dashboard/sign-in", { link: late })).status, 401);
});

test("while the keys' store is away nobody is told that a key or session is no good, and a link is not used up", async () => {
  let isAway = false;
  await using harness = await openGatewayHarness({
    wrap: (drivers) => ({
      ...drivers,
      apiKeys: {
        ...drivers.apiKeys,
        find(hash) {
          if (isAway) throw new PosthasteError("store-unavailable", "Redis cannot be reached.");
          return drivers.apiKeys.find(hash);
        },
      },
    }),
  });
  const [client, other] = [new DashboardClient(harness.gateway), new DashboardClient(harness.gateway)];
  await client.send("/dashboard/sign-in", { key: harness.operatorKey });
  const link = linkOf(harness.operatorKey, harness.clock.now());
  isAway = true;
  for (const seen of [
    await client.visit("/dashboard"),
    await client.visit("/dashboard/events"),
    await client.send("/dashboard/sign-out", {}),
    await other.send("/dashboard/sign-in", { key: harness.operatorKey }),
    await other.send("/dashboard/sign-in", { link }),
  ]) {
    assert.equal(seen.status, 503, `${seen.status} ${seen.text}`);
    assert.equal(seen.headers.get("set-cookie"), null);
  }
  isAway = false;
  assert.equal((await client.visit("/dashboard/events")).status, 200);
  assert.equal(movedTo(await other.send("/dashboard/sign-in", { link })), "/dashboard");
});

test("a link that is handed in twice at once signs in once", async () => {
  const { harness } = await open();
  await using _ = harness;
  const link = linkOf(harness.operatorKey, harness.clock.now());
  const sent = [1, 2, 3].map(() => new DashboardClient(harness.gateway).send("/dashboard/sign-in", { link }));
  const answers = await Promise.all(sent);
  assert.deepEqual(answers.map(({ status }) => String(status)).toSorted(), ["303", "401", "401"]);
});

for (const next of [
  "https://evil.example/",
  "//evil.example",
  "/dashboardx",
  "/v1/events",
  "/dashboard/\\evil",
  "/dashboard\r\nx: y",
]) {
  test(`after signing in one stays in the dashboard, whatever the form says: ${JSON.stringify(next)}`, async () => {
    const { harness, client } = await open();
    await using _ = harness;
    const seen = await client.send("/dashboard/sign-in", { key: harness.operatorKey, next });
    assert.equal(movedTo(seen), "/dashboard");
  });
}

for (const [what, headers] of [
  ["another site", { "sec-fetch-site": "cross-site" }],
  ["a sibling of this site", { "sec-fetch-site": "same-site" }],
  ["no page", { "sec-fetch-site": "none" }],
  ["another origin", { origin: "https://evil.example" }],
  ["another port", { origin: "http://localhost:81" }],
  ["an origin that is not told", { origin: "null" }],
  ["nowhere", { origin: null }],
] as const) {
  test(`403 for a form of ${what}, at every form, and nothing is done`, async () => {
    const { harness, client } = await open();
    await using _ = harness;
    await client.signIn(harness.operatorKey);
    const before = client.cookie;
    for (const [path, fields] of [
      ["/dashboard/endpoints/new", { url: "https://a.example/" }],
      ["/dashboard/sign-in", { key: harness.operatorKey }],
      ["/dashboard/sign-out", {}],
    ] as const) {
      const seen = await client.send(path, fields, headers);
      assert.equal(seen.status, 403, path);
      assert.equal(seen.headers.get("set-cookie"), null);
      assert.match(seen.text, /Nothing was done/);
    }
    assert.equal(client.cookie, before);
    assert.equal((await harness.drivers.directory.list({ tenant: null }, 10, null)).rows.length, 0);
  });
}

test("403 for a form without the session's token, or with that of another session", async () => {
  const { harness, client } = await open();
  await using _ = harness;
  await client.signIn(harness.operatorKey);
  const other = new DashboardClient(harness.gateway);
  await other.signIn(harness.operatorKey);
  assert.notEqual(client.token, other.token);
  for (const token of ["", other.token, `${client.token}0`, client.token.slice(1)]) {
    const seen = await client.send("/dashboard/endpoints/new", { token, url: "https://a.example/" });
    assert.equal(seen.status, 403);
  }
  assert.equal((await client.send("/dashboard/endpoints/new", { url: "https://a.example/" })).status, 201);
});

test("what is no form is 415, and what is too large is 413", async () => {
  const { harness, client } = await open();
  await using _ = harness;
  await client.signIn(harness.operatorKey);
  const json = await client.send("/dashboard/endpoints/new", {}, { "content-type": "application/json" });
  assert.ok(json.status === 201 || json.status === 422, "the client sends forms");
  const headers = {
    origin: ORIGIN,
    host: "localhost",
    cookie: client.cookie ?? "",
    "content-type": "application/json",
  };
  const asked = new Request(`${ORIGIN}/dashboard/endpoints/new`, { method: "POST", headers, body: "{}" });
  assert.equal((await harness.gateway.fetch(asked)).status, 415);
  assert.equal((await client.send("/dashboard/endpoints/new", { url: "x".repeat(70_000) })).status, 413);
  assert.equal(
    (await new DashboardClient(harness.gateway).send("/dashboard/sign-in", { key: "x".repeat(5000) })).status,
    413,
  );
});

test("signing out takes the cookie away", async () => {
  const { harness, client } = await open();
  await using _ = harness;
  await client.signIn(harness.operatorKey);
  const out = await client.send("/dashboard/sign-out", {});
  assert.equal(movedTo(out), "/dashboard");
  assert.match(out.headers.get("set-cookie") ?? "", /^posthaste-session=; Path=\/; Max-Age=0; HttpOnly/);
  assert.match((await client.visit("/dashboard")).text, /<h1>Sign in<\/h1>/);
});

test("who is led here by a link on another site is asked once more, with the cookie", async () => {
  const { harness } = await open();
  await using _ = harness;
  const led = { "sec-fetch-site": "cross-site", "sec-fetch-dest": "document" };
  const ask = async (headers: Record<string, string>) =>
    await (await harness.gateway.fetch(new Request(`${ORIGIN}/dashboard/events`, { headers }))).text();
  assert.match(await ask(led), /http-equiv="refresh" content="0"/);
  assert.match(await ask({ ...led, "sec-fetch-site": "same-origin" }), /<h1>Sign in<\/h1>/);
  assert.match(await ask({ ...led, "sec-fetch-dest": "iframe" }), /<h1>Sign in<\/h1>/);
});

test("the address with a slash at its end leads home", async () => {
  const { harness, client } = await open();
  await using _ = harness;
  assert.equal(movedTo(await client.visit("/dashboard/")), "/dashboard");
});

test("style and script are there without a session, and are sent again only when they change", async () => {
  const { harness, client } = await open();
  await using _ = harness;
  for (const [path, type] of [
    ["/dashboard/style.css", "text/css; charset=utf-8"],
    ["/dashboard/script.js", "text/javascript; charset=utf-8"],
    ["/dashboard/plot.css", "text/css; charset=utf-8"],
    ["/dashboard/plot.js", "text/javascript; charset=utf-8"],
  ] as const) {
    const { status, headers } = await client.visit(path);
    assert.equal(status, 200);
    assert.equal(headers.get("content-type"), type);
    const known = { "if-none-match": headers.get("etag") ?? "" };
    const again = await harness.gateway.fetch(new Request(`${ORIGIN}${path}`, { headers: known }));
    assert.equal(again.status, 304);
  }
});
