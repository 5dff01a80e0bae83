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
  return { harness, attempted, page };
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
  assert.match(words, /3 of 7<\/span>[^]*as the processor of the last attempt had it, <time[^>]*>1 min ago/);
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
