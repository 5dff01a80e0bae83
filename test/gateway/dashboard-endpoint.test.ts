/** What the page of an endpoint says of its rate, of how many attempts are made at once, and of its breaker. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EndpointSeen } from "@posthaste/shared/ports/stats.ts";
import type { DeliveryRecord } from "@posthaste/shared/ports/ledger.ts";
import { DashboardClient } from "../support/dashboard-client.ts";
import { openGatewayHarness, textAt } from "../support/gateway-harness.ts";

async function open() {
  const harness = await openGatewayHarness();
  const { drivers, clock } = harness;
  const key = await harness.createKey({ tenant: "acme" });
  const made = await harness.call("POST", "/v1/endpoints", { key, body: { url: "https://acme.example/" } });
  const endpointId = textAt(made.json, "id");
  const client = new DashboardClient(harness.gateway);
  await client.signIn(key);
  let count = 0;
  /** As settle records it. */
  const attempted = async (state: "delivered" | "retrying", seen: EndpointSeen | null): Promise<void> => {
    const sent = await harness.call("POST", "/v1/events", { key, body: { type: "order.paid", data: count++ } });
    const delivery: DeliveryRecord = {
      tenant: "acme",
      eventId: textAt(sent.json, "id"),
      endpointId,
      generation: 0,
      eventType: "order.paid",
      atMs: clock.now(),
      state,
      attempt: 1,
      result: {
        kind: "answered",
        status: state === "delivered" ? 200 : 500,
        durationMs: 3,
        bodyExcerpt: "",
        isBodyCut: false,
        retryAfter: null,
      },
      groupId: null,
      nextAttemptAtMs: state === "delivered" ? null : clock.now() + 60_000,
      reason: "",
    };
    drivers.ledger.record([{ kind: "delivery", delivery }]);
    const outcome = state === "delivered" ? "delivered" : "retry";
    const of = { kind: "attempt", tenant: "acme", endpointId, lane: "medium" } as const;
    drivers.stats.add([{ ...of, outcome, durationMs: 3, sinceDueMs: [3], seen, atMs: clock.now() }]);
    await drivers.flush();
  };
  const page = async (query = "") => (await client.visit(`/dashboard/endpoints/${endpointId}${query}`)).words;
  return { harness, key, endpointId, client, attempted, page };
}

test("the page of an endpoint says its rate, what is under way, and its breaker as they were last seen", async () => {
  const { harness, attempted, page } = await open();
  await using _ = harness;
  assert.doesNotMatch(await page(), /Under way|Breaker/);
  assert.match(await page(), /Attempts<\/span><span class="figure">none/);
  await attempted("retrying", { inFlight: 0, inFlightMax: 4, breaker: "closed" });
  await harness.clock.advance(10 * 60_000);
  await attempted("delivered", { inFlight: 2, inFlightMax: 8, breaker: "closed" });
  await attempted("retrying", { inFlight: 3, inFlightMax: 7, breaker: "open" });
  await harness.clock.advance(60_000);
  const words = await page();
  assert.match(words, /0\.4 a minute<\/span><span class="quiet">1 delivered and 1 failure in 5 min/);
  assert.match(
    words,
    /3 of 7<\/span>[^]*other attempts under way when the last one ended, <time[^>]*>1 min ago<\/time>; 7 may be at once/,
  );
  assert.match(
    words,
    /state bad"[^>]*>[^]*? open<\/span>[^]*deliveries wait; from time to time a single attempt is made/,
  );
  assert.doesNotMatch(await page("?outcome=failed"), /a minute<\/span>/);
});

test("where all attempts of the page are young, the rate is that of the page", async () => {
  const { harness, attempted, page } = await open();
  await using _ = harness;
  for (let index = 0; index < 60; index++) {
    await attempted("delivered", null);
    await harness.clock.advance(500);
  }
  const words = await page();
  assert.match(words, /2\.\d a second<\/span><span class="quiet">\d+ delivered and 0 failures in \d+ s/);
  assert.doesNotMatch(words, /Breaker/);
});

const options = (text: string): (string | undefined)[] =>
  [...text.matchAll(/<option value="([^"]*)"><\/option>/g)].map(([, value]) => value);

test("the test form offers the listed types, and says that the endpoint gets any of them whatever it subscribes to", async () => {
  const { harness, endpointId, client, page } = await open();
  await using _ = harness;
  const bare = await page();
  assert.deepEqual(options(bare), ["posthaste.test"]);
  assert.match(bare, /This endpoint gets it whatever it subscribes to, and no other does\.<\/p>/);
  for (const name of ["order.paid", "invoice.sent"]) await harness.call("PUT", `/v1/event-types/${name}`, { body: {} });
  const listed = await page();
  assert.deepEqual(options(listed), ["posthaste.test", "invoice.sent", "order.paid"]);
  assert.match(listed, /<input id="f-type"[^>]* list="f-type-offered"/);
  assert.match(listed, /One of the listed types has its example as data/);
  const { text } = await client.send(`/dashboard/endpoints/${endpointId}/test`, { type: "posthaste.own" });
  assert.match(text, /id="f-type"[^>]*value="posthaste\.own"/, "what was typed stays");
});

test("what was chosen in the test form comes to an endpoint that does not subscribe to it", async () => {
  const { harness, key, endpointId, client } = await open();
  await using _ = harness;
  await harness.call("PATCH", `/v1/endpoints/${endpointId}`, { key, body: { event_types: ["user.*"] } });
  const sent = await client.send(`/dashboard/endpoints/${endpointId}/test`, { type: "order.paid" });
  assert.equal(sent.status, 303, sent.text);
  assert.deepEqual(
    (await harness.takeDue()).flatMap(({ members }) => members).map(({ type }) => type),
    ["order.paid"],
  );
});

test("settings that are saved, and an endpoint that goes on, say what died before and is not sent again by it", async () => {
  const { harness, endpointId, client, page } = await open();
  await using _ = harness;
  const change = async (): Promise<string> => {
    const fields = { url: "https://acme.example/right", event_types: "*" };
    const { headers } = await client.send(`/dashboard/endpoints/${endpointId}/edit`, fields);
    return await page(new URL(headers.get("location") ?? "", "http://a.example").search);
  };
  const calm = await change();
  assert.match(calm, /The settings are saved\./);
  assert.doesNotMatch(calm, /not sent again/);
  await harness.addDeadLetter({ endpointId, tenant: "acme", deadLetter: { state: "paused" } });
  assert.doesNotMatch(await change(), /not sent again/, "what is held comes by itself");
  for (let count = 0; count < 2; count++) await harness.addDeadLetter({ endpointId, tenant: "acme" });
  const words = await change();
  assert.match(words, /The settings are saved\. What died before is not sent again by this: 2 deliveries\./);
  const href = new RegExp(`<a href="(/dashboard/dead-letters\\?endpoint_id=${endpointId}&amp;state=dead)"`).exec(words);
  const letters = await client.visit((href?.[1] ?? "").replaceAll("&amp;", "&"));
  assert.equal(letters.words.match(/type="checkbox" name="id"/g)?.length, 2);
  assert.match(await page("?done=resumed"), /The endpoint is active\.[^<]*2 deliveries/);
  assert.doesNotMatch(await page("?done=paused"), /not sent again/);
});
