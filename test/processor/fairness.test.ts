/** Nobody's backlog lies before anybody else's events: how long a healthy endpoint waits beside many that hang. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import { LOW_PACE } from "@posthaste/processor/intake/low-throttle.ts";
import { ATTEMPT_DEADLINE_MS } from "@posthaste/shared/domain/attempt.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";
import type { Lane } from "@posthaste/shared/domain/event.ts";
import { openProcessorHarness } from "../support/processor-harness.ts";
import { START_MS, endpointOf, envelopeOf } from "../support/samples.ts";

/** A tenth of the real ones, so that a tenth of the real flood is telling. */
const windowItems = { high: 100, medium: 100, low: 400, retry: 100 };

type Harness = Awaited<ReturnType<typeof openProcessorHarness>>;

/** Endpoints of the tenant that hang on every request, each with `events` events of its own type in each of the lanes. */
async function flood(
  harness: Harness,
  plan: { tenant: string; endpoints: number; events: number; lanes: readonly Lane[] },
): Promise<void> {
  const { tenant, endpoints, events, lanes } = plan;
  const hanging = Array.from({ length: endpoints }, (_, index) =>
    endpointOf(`hang${index}`, { tenant, eventTypes: [`hang.${index}`] }),
  );
  await harness.add(...hanging);
  for (const { id } of hanging) harness.world.script(id, () => "hang");
  for (const lane of lanes) {
    for (let event = 0; event < events; event++) {
      const round = hanging.map((_, index) =>
        envelopeOf(`${lane}_${index}_${event}`, lane, { tenant, type: `hang.${index}` }),
      );
      await harness.publish(...round);
    }
  }
}

/** Publishes one event a second for ten seconds; the longest wait in virtual ms until each was sent. */
async function longestWaitMs(harness: Harness, lane: Lane, type: string, besideEach?: () => Promise<void>) {
  const sentAtMs = new Map<string, number>();
  for (let second = 0; second < 10; second++) {
    const id = `probe_${lane}_${second}`;
    sentAtMs.set(id, harness.clock.now());
    await harness.publish(envelopeOf(id, lane, { type }));
    await besideEach?.();
    await harness.clock.advance(1000);
  }
  await harness.clock.advance(40_000);
  const sent = harness.world.sent.filter(({ headers }) => sentAtMs.has(String(headers["webhook-id"])));
  assert.equal(sent.length, 10);
  return Math.max(...sent.map(({ atMs, headers }) => atMs - (sentAtMs.get(String(headers["webhook-id"])) ?? START_MS)));
}

for (const lane of LANES) {
  test(`a small tenant's ${lane} events wait at most 100 ms beside 3,000 of another for 20 endpoints that hang`, async () => {
    await using harness = await openProcessorHarness();
    await harness.add(endpointOf("ep_small", { eventTypes: ["small"] }));
    await flood(harness, { tenant: "big", endpoints: 20, events: 50, lanes: LANES });
    harness.start({ limits: { windowItems } });
    await harness.clock.advance(10);
    const waitMs = await longestWaitMs(harness, lane, "small");
    assert.ok(waitMs <= 100, `${waitMs} ms`);
  });
}

test("beside fifty hanging endpoints of its tenant, forty events each, a healthy one's LOW event waits less than a second", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep_well", { eventTypes: ["well"] }));
  await flood(harness, { tenant: "acme", endpoints: 50, events: 40, lanes: ["low"] });
  harness.start({ limits: { windowItems } });
  await harness.clock.advance(10);
  let high = 0;
  const waitMs = await longestWaitMs(harness, "low", "well", () =>
    harness.publish(envelopeOf(`high_${high++}`, "high", { type: "well" })),
  );
  assert.ok(waitMs < 1000, `${waitMs} ms`);
});

for (const lane of LANES) {
  test(`beside 400 hanging endpoints of its tenant, an endpoint that answers gets its ${lane} events at once`, async () => {
    await using harness = await openProcessorHarness();
    await harness.add(endpointOf("ep_well", { eventTypes: ["well"] }));
    harness.start();
    await harness.publish(envelopeOf("before", lane, { type: "well" }));
    await harness.clock.advance(100);
    await flood(harness, { tenant: "acme", endpoints: 400, events: 20, lanes: [lane] });
    await harness.clock.advance(2000);
    const waitMs = await longestWaitMs(harness, lane, "well");
    assert.ok(waitMs <= 100, `${waitMs} ms`);
  });
}

test("beside 400 hanging endpoints of its tenant, one that was never tried waits for a few rounds of their first attempts at most", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep_well", { eventTypes: ["well"] }));
  await flood(harness, { tenant: "acme", endpoints: 400, events: 20, lanes: ["low"] });
  harness.start();
  await harness.clock.advance(10);
  const waitMs = await longestWaitMs(harness, "low", "well");
  assert.ok(waitMs <= 3 * ATTEMPT_DEADLINE_MS, `${waitMs} ms`);
});

test("LOW beside HIGH waits in its lane, not in the retry queue, for an endpoint that answers more slowly than LOW could be taken", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep_high", { eventTypes: ["high"] }), endpointOf("ep_low", { eventTypes: ["low"] }));
  harness.world.script("ep_low", () => ({ status: 200, afterMs: 50 }));
  await harness.publish(
    ...Array.from({ length: 6000 }, (_, event) => envelopeOf(`low_${event}`, "low", { type: "low" })),
  );
  harness.start();
  let waiting = 0;
  for (let high = 0; high < 200; high++) {
    await harness.publish(envelopeOf(`high_${high}`, "high", { type: "high" }));
    await harness.clock.advance(20);
    waiting = Math.max(waiting, (await harness.drivers.retryQueue.depth()).count);
  }
  assert.equal(waiting, 0);
  const lowSent = harness.world.idsTo("ep_low").length;
  assert.ok(lowSent > 500 && lowSent < 6000, `${lowSent} sent`);
});

/** Longest wait of fifty LOW events a second of type `small`, while LOW floods an endpoint that answers in 900 ms and HIGH comes. */
async function waitBesideSlowMs(small: Endpoint): Promise<number> {
  await using harness = await openProcessorHarness();
  const slow = endpointOf("ep_slow", { tenant: "big", eventTypes: ["slow"] });
  await harness.add(endpointOf("ep_high", { eventTypes: ["high"] }), slow, small);
  harness.world.script("ep_slow", () => ({ status: 200, afterMs: 900 }));
  const lowOf = (id: string, { tenant }: Endpoint, type: string) => envelopeOf(id, "low", { tenant, type });
  await harness.publish(...Array.from({ length: 3000 }, (_, event) => lowOf(`slow_${event}`, slow, "slow")));
  // Its pace is known: far more than wait at once find a slot in time.
  harness.start({ limits: { capFirst: 64, capStart: 64 } });
  const sentAtMs = new Map<string, number>();
  for (let round = 0; round < 500; round++) {
    sentAtMs.set(`small_${round}`, harness.clock.now());
    await harness.publish(
      envelopeOf(`high_${round}`, "high", { type: "high" }),
      lowOf(`small_${round}`, small, "small"),
    );
    await harness.clock.advance(20);
  }
  await harness.clock.advance(1000);
  const waits = harness.world.sent
    .filter(({ endpointId }) => endpointId === small.id)
    .map(({ atMs, headers }) => atMs - (sentAtMs.get(String(headers["webhook-id"])) ?? START_MS));
  assert.equal(waits.length, 500);
  return Math.max(...waits);
}

test("beside HIGH, a tenant whose endpoint answers slowly keeps no other tenant's LOW in the lane", async () => {
  const waitMs = await waitBesideSlowMs(endpointOf("ep_small", { eventTypes: ["small"] }));
  assert.ok(waitMs <= 1000, `${waitMs} ms`);
});

test("beside HIGH, an endpoint that answers slowly keeps no LOW of its tenant's other endpoints in the lane", async () => {
  const waitMs = await waitBesideSlowMs(endpointOf("ep_small", { tenant: "big", eventTypes: ["small"] }));
  assert.ok(waitMs <= 1000, `${waitMs} ms`);
});

test("beside HIGH, an endpoint that answers slowly does not slow LOW for another that gets the same events", async () => {
  await using harness = await openProcessorHarness();
  const [slow, quick] = ["ep_slow", "ep_quick"].map((id) => endpointOf(id, { eventTypes: ["shared"] }));
  assert.ok(slow !== undefined && quick !== undefined);
  await harness.add(endpointOf("ep_high", { eventTypes: ["high"] }), slow, quick);
  harness.world.script(slow.id, () => ({ status: 200, afterMs: 900 }));
  await harness.publish(
    ...Array.from({ length: 3000 }, (_, event) => envelopeOf(`low_${event}`, "low", { type: "shared" })),
  );
  harness.start({ limits: { capFirst: 64, capStart: 64 } });
  for (let round = 0; round < 500; round++) {
    await harness.publish(envelopeOf(`high_${round}`, "high", { type: "high" }));
    await harness.clock.advance(20);
  }
  const sent = harness.world.idsTo(quick.id).length;
  assert.ok(sent >= 10 * LOW_PACE.least * 0.9, `${sent} sent in 10 s`);
});
