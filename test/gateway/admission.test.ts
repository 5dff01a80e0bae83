/** No key shuts the gateway: bounds on what arrives and on what is worked on, by key, by tenant and in all. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { test } from "node:test";
import { Shares } from "@posthaste/gateway/request/shares.ts";
import { serveHttp } from "@posthaste/shared/drivers/http/server/serve.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { DashboardClient } from "../support/dashboard-client.ts";
import type { Answer, GatewayHarness, Wish } from "../support/gateway-harness.ts";
import { assertProblem, at, openGatewayHarness } from "../support/gateway-harness.ts";

const EVENT = { type: "a", data: 1 };
const never = (): Promise<never> => new Promise(() => undefined);

/** A body that begins and does not end, unless `end` is called. */
function slowBody(): { body: ReadableStream<Uint8Array>; end: () => void } {
  let end = (): void => undefined;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      controller.enqueue(new TextEncoder().encode(JSON.stringify(EVENT)));
      end = () => controller.close();
    },
  });
  return { body, end: () => end() };
}

/** Requests with bodies that do not end; those that were refused at once are answered. */
async function flood(harness: GatewayHarness, count: number, wish: Wish): Promise<readonly Answer[]> {
  const answered: Answer[] = [];
  for (let index = 0; index < count; index++) {
    void harness.call("POST", "/v1/events", { ...wish, body: slowBody().body }).then((answer) => answered.push(answer));
  }
  await harness.clock.settle();
  return answered;
}

test("bodies that never end hold no slot: the same key's other requests go on", async () => {
  await using harness = await openGatewayHarness({ limits: { inFlightMax: 3 } });
  assert.deepEqual(await flood(harness, 10, {}), []);
  assert.equal((await harness.call("POST", "/v1/events", { body: EVENT })).status, 202);
  assert.equal((await harness.call("GET", "/v1/events")).status, 200);
});

test("429 share-reached for a key that has its third of what may arrive; other keys and tenants go on", async () => {
  await using harness = await openGatewayHarness({ limits: { arrivingMax: 30 } });
  const [hog, second, other] = [
    await harness.createKey({ tenant: "acme" }),
    await harness.createKey({ tenant: "acme" }),
    await harness.createKey({ tenant: "beta" }),
  ];
  const refused = await flood(harness, 100, { key: hog });
  assert.equal(refused.length, 89);
  for (const answer of refused) {
    assertProblem(answer, 429, "share-reached");
    assert.equal(answer.headers.get("retry-after"), "1");
  }
  // Keys of one tenant reach half together, so a tenant gains little by making more keys.
  assert.equal((await flood(harness, 100, { key: second })).length, 95);
  assert.equal((await harness.call("POST", "/v1/events", { key: other, body: EVENT })).status, 202);
  assert.equal((await flood(harness, 3, { key: other })).length, 0);
});

test("503 overloaded when nothing is left; each place is free again when its body is there or given up", async () => {
  await using harness = await openGatewayHarness({ limits: { arrivingMax: 2 } });
  const [one, two, three] = [await harness.createKey({}), await harness.createKey({}), await harness.createKey({})];
  const first = slowBody();
  const held = harness.call("POST", "/v1/events", { key: one, body: first.body });
  assert.equal((await flood(harness, 1, { key: two })).length, 0);
  const refused = await harness.call("POST", "/v1/events", { key: three, body: EVENT });
  assertProblem(refused, 503, "overloaded");
  assert.equal(refused.headers.get("retry-after"), "1");
  first.end();
  assert.equal((await held).status, 202);
  assert.equal((await harness.call("POST", "/v1/events", { key: three, body: EVENT })).status, 202);
});

test("bytes count when they are declared, as they come when not, and until the work on them ends", async () => {
  const held: (() => void)[] = [];
  await using harness = await openGatewayHarness({
    limits: { bodyBytesMax: 3000 },
    wrap: (drivers) => ({
      ...drivers,
      lanes: { ...drivers.lanes, append: () => new Promise((resolve) => held.push(() => resolve())) },
    }),
  });
  const [one, two] = [await harness.createKey({ tenant: "acme" }), await harness.createKey({ tenant: "beta" })];
  const wish = (key: string) => ({ key, body: { type: "a", data: "x".repeat(1400) } });
  const sized = (key: string) =>
    harness.call("POST", "/v1/events", { ...wish(key), headers: { "content-length": "1430" } });
  const first = sized(one);
  await harness.clock.settle();
  assertProblem(await sized(one), 429, "share-reached");
  const second = harness.call("POST", "/v1/events", wish(two));
  await harness.clock.settle();
  assertProblem(await sized(two), 503, "overloaded");
  // Undeclared, and refused by its second piece.
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      for (let piece = 0; piece < 9; piece++) controller.enqueue(new Uint8Array(100));
    },
  });
  assertProblem(await harness.call("POST", "/v1/events", { body }), 503, "overloaded");
  for (const resolve of held) resolve();
  assert.deepEqual([(await first).status, (await second).status], [202, 202]);
  const third = sized(one);
  await harness.clock.settle();
  held.at(-1)?.();
  assert.equal((await third).status, 202);
});

test("408 after 2 s instead of 10 s for bodies that come under pressure, and for late ones when pressure comes", async () => {
  await using harness = await openGatewayHarness({ limits: { arrivingMax: 30 } });
  const hog = await harness.createKey({ tenant: "acme" });
  const early = harness.call("POST", "/v1/events", { key: hog, body: slowBody().body });
  const patient = harness.call("POST", "/v1/events", { body: slowBody().body });
  let isPatientOver = false;
  void patient.finally(() => {
    isPatientOver = true;
  });
  await harness.clock.advance(2500);
  await flood(harness, 20, { key: hog });
  const cut = await early;
  assertProblem(cut, 408, "request-timeout");
  assert.equal(cut.headers.get("connection"), "close");
  assert.match(String(at(cut.json, "detail")), /2000 ms/);
  const late = harness.call("POST", "/v1/events", { key: hog, body: slowBody().body });
  await harness.clock.advance(2000);
  assert.ok([408, 429].includes((await late).status));
  // The key's own pressure shortens no other's time.
  assert.equal(isPatientOver, false);
  await harness.clock.advance(5500);
  assert.match(String(at((await patient).json, "detail")), /10000 ms/);
});

test("a body that begins to arrive under the pressure of others has 2 s, though nothing comes after it", async () => {
  await using harness = await openGatewayHarness({ limits: { arrivingMax: 30 } });
  for (const tenant of ["acme", "beta"]) await flood(harness, 20, { key: await harness.createKey({ tenant }) });
  const key = await harness.createKey({ tenant: "gamma" });
  const late = harness.call("POST", "/v1/events", { key, body: slowBody().body });
  await harness.clock.advance(2000);
  const cut = await Promise.race([late, harness.clock.settle().then(() => null)]);
  assert.ok(cut !== null, "answered after 2 s");
  assertProblem(cut, 408, "request-timeout");
  assert.match(String(at(cut.json, "detail")), /2000 ms/);
});

test("a body that is cut gives everything back: all may arrive again", async () => {
  await using harness = await openGatewayHarness({ limits: { arrivingMax: 6, bodyBytesMax: 600 } });
  for (let round = 0; round < 5; round++) {
    await flood(harness, 20, { headers: { "content-length": "33" } });
    await harness.clock.advance(10_000);
  }
  assert.equal((await flood(harness, 2, {})).length, 0);
  assert.equal(
    (await harness.call("POST", "/v1/events", { key: await harness.createKey({}), body: EVENT })).status,
    202,
  );
});

test("429 share-reached for a key whose work hangs; other keys still find slots", async () => {
  await using harness = await openGatewayHarness({
    limits: { inFlightMax: 30 },
    wrap: (drivers) => ({ ...drivers, lanes: { ...drivers.lanes, append: never } }),
  });
  const [hog, other] = [await harness.createKey({ tenant: "acme" }), await harness.createKey({ tenant: "beta" })];
  const answers: Answer[] = [];
  for (let index = 0; index < 40; index++) {
    void harness.call("POST", "/v1/events", { key: hog, body: EVENT }).then((answer) => answers.push(answer));
  }
  await harness.clock.settle();
  assert.equal(answers.length, 29);
  for (const answer of answers) assertProblem(answer, 429, "share-reached");
  assert.equal((await harness.call("GET", "/v1/events", { key: other })).status, 200);
});

test("an unknown caller's body is never waited for, and while look-ups hang few large bodies are let in", async () => {
  await using harness = await openGatewayHarness({
    limits: { largeHeadsMax: 2 },
    wrap: (drivers) => ({ ...drivers, apiKeys: { ...drivers.apiKeys, find: never } }),
  });
  const key = "phk_" + "x".repeat(40);
  assertProblem(await harness.call("POST", "/v1/events", { key: null, body: slowBody().body }), 401, "unauthenticated");
  const large = { key, headers: { "content-length": "200000", "content-type": "application/json" } };
  void harness.call("POST", "/v1/events", large);
  void harness.call("POST", "/v1/events", large);
  await harness.clock.settle();
  assertProblem(await harness.call("POST", "/v1/events", large), 503, "overloaded");
  const small = harness.call("POST", "/v1/events", { key, body: EVENT });
  await harness.clock.advance(10_000);
  assertProblem(await small, 503, "store-unavailable");
});

for (const path of ["/dashboard/sign-in", "/portal/sign-in"]) {
  test(`forms of strangers that never end keep nobody from anything: ${path}`, async () => {
    await using harness = await openGatewayHarness({ limits: { headsMax: 30, largeHeadsMax: 2, arrivingMax: 30 } });
    const answered: number[] = [];
    const headers = {
      "content-type": "application/x-www-form-urlencoded",
      "sec-fetch-site": "same-origin",
      "transfer-encoding": "chunked",
    };
    for (let index = 0; index < 40; index++) {
      const asked = new Request(`http://localhost${path}`, { method: "POST", headers, body: slowBody().body });
      void harness.gateway.fetch(asked).then(({ status }) => answered.push(status));
    }
    await harness.clock.settle();
    assert.deepEqual(answered, Array<number>(29).fill(429));
    const large = { headers: { "transfer-encoding": "chunked" }, body: EVENT };
    assert.equal((await harness.call("POST", "/v1/events", large)).status, 202);
    await harness.clock.advance(10_000);
    assert.deepEqual(answered.slice(29), Array<number>(11).fill(408));
  });
}

test("pages that wait for what they show are no requests whose key is being looked up", async () => {
  await using harness = await openGatewayHarness({
    limits: { headsMax: 3 },
    wrap: (drivers) => ({ ...drivers, ledger: { ...drivers.ledger, events: never } }),
  });
  const client = new DashboardClient(harness.gateway);
  await client.send("/dashboard/sign-in", { key: harness.operatorKey });
  for (let index = 0; index < 5; index++) void client.visit("/dashboard/events");
  await harness.clock.settle();
  assert.equal((await harness.call("POST", "/v1/events", { body: EVENT })).status, 202);
});

test("a late body and a refused one cost no unit of the rate limit", async () => {
  await using harness = await openGatewayHarness({ limits: { arrivingMax: 3 } });
  const key = await harness.createKey({ rateLimit: { limit: 1, windowMs: 60_000, failureMode: "local" } });
  const late = harness.call("POST", "/v1/events", { key, body: slowBody().body });
  await flood(harness, 5, { key });
  await harness.clock.advance(10_000);
  assert.equal((await late).status, 408);
  assert.equal((await harness.call("POST", "/v1/events", { key, body: EVENT })).status, 202);
});

test("Shares: who floods gets a third, a tenant a half, each further tenant part of the rest, all of it comes back", () => {
  const shares = new Shares(1000);
  const fill = (id: string, tenant: string | null): number => {
    let count = 0;
    while (shares.take({ id, tenant }, 1) === "taken") count += 1;
    return count;
  };
  assert.equal(fill("a", "acme"), 334);
  assert.equal(fill("b", "acme"), 167);
  assert.equal(fill("c", "acme"), 0);
  assert.equal(fill("d", "beta"), 167);
  assert.equal(fill("e", null), 111);
  for (const [id, tenant, held] of [
    ["a", "acme", 334],
    ["b", "acme", 167],
    ["d", "beta", 167],
    ["e", null, 111],
  ] as const) {
    shares.give({ id, tenant }, held);
  }
  assert.equal(shares.take({ id: "z", tenant: null }, 1000), "taken");
  assert.equal(shares.take({ id: "y", tenant: null }, 1), "full");
});

/** A raw connection, as a client that sends what it wants. Collects the answers. */
function rawClient(port: number): { socket: Socket; text: () => string; until: (pattern: RegExp) => Promise<void> } {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  const waiting = new Set<() => void>();
  const wake = (): void => waiting.forEach((check) => check());
  socket.on("data", (bytes) => {
    text += bytes.toString();
    wake();
  });
  socket.on("error", wake);
  const until = (pattern: RegExp): Promise<void> =>
    new Promise((resolve) => {
      const check = (): void => {
        if (!pattern.test(text)) return;
        waiting.delete(check);
        resolve();
      };
      waiting.add(check);
      check();
    });
  return { socket, text: () => text, until };
}

test("on a listening gateway: unfinished bodies of one key fill nothing for others, end in 408, and free their bytes", async () => {
  await using harness = await openGatewayHarness({
    limits: { inFlightMax: 4, arrivingMax: 12, bodyBytesMax: 400_000 },
  });
  const listening = await serveHttp({
    clock: systemClock,
    host: "127.0.0.1",
    port: 0,
    portSetting: "PORT",
    connectionsMax: 100,
    fetch: harness.gateway.fetch,
  });
  const [hog, other] = [await harness.createKey({ tenant: "acme" }), await harness.createKey({ tenant: "beta" })];
  const clients = Array.from({ length: 20 }, () => rawClient(listening.port));
  try {
    const head = (key: string, length: number) =>
      `POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`;
    for (const { socket } of clients) socket.write(`${head(hog, 30_000)}{"type":"a","data":"${"x".repeat(20_000)}`);
    const isRefused = (client: { text: () => string }) => client.text().includes("share-reached");
    // Five hold what the key may have: the others are answered, each with a problem.
    await Promise.any(clients.map((client) => client.until(/share-reached/)));
    while (clients.filter(isRefused).length < 15) {
      await Promise.race(clients.filter((client) => !isRefused(client)).map((client) => client.until(/share-reached/)));
    }
    const good = rawClient(listening.port);
    clients.push(good);
    const text = JSON.stringify(EVENT);
    good.socket.write(`${head(other, text.length)}${text}`);
    await good.until(/"status_url"/);
    assert.match(good.text(), /^HTTP\/1\.1 202/);
    const held = clients.filter((client) => client !== good && !isRefused(client));
    await harness.clock.advance(10_000);
    await Promise.all(held.map((client) => client.until(/request-timeout/)));
    for (const client of held) assert.match(client.text(), /^HTTP\/1\.1 408[^]*connection: close/i);
    const again = rawClient(listening.port);
    clients.push(again);
    again.socket.write(`${head(hog, text.length)}${text}`);
    await again.until(/^HTTP\/1\.1 202/);
    // Who goes away while the body comes gives its place back, too.
    assert.equal((await harness.call("POST", "/v1/events", { key: hog, body: EVENT })).status, 202);
  } finally {
    for (const { socket } of clients) socket.destroy();
    await listening.kill();
  }
});
