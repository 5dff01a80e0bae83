import assert from "node:assert/strict";
import { test } from "node:test";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import { openProcessorHarness } from "../../support/processor-harness.ts";
import { START_MS, endpointOf, envelopeOf } from "../../support/samples.ts";

/** A retry queue that is full until `free` is called. */
function fullRetryQueue() {
  let isFull = true;
  const wrap = (drivers: Drivers): Drivers => ({
    ...drivers,
    retryQueue: {
      ...drivers.retryQueue,
      schedule: (items) =>
        isFull ? Promise.resolve({ kind: "full", retryAfterS: 1 }) : drivers.retryQueue.schedule(items),
    },
  });
  return {
    wrap,
    free: () => {
      isFull = false;
    },
  };
}

test("while the retry queue is full a failed delivery is held as backlog, and goes on when there is room", async () => {
  await using harness = await openProcessorHarness();
  const queue = fullRetryQueue();
  await harness.add(endpointOf("ep1", { retry: { delays_s: [0, 1, 1] } }));
  harness.world.script("ep1", (_request, count) => ({ status: count === 1 ? 500 : 200 }));
  harness.start({ wrap: queue.wrap });
  await harness.publish(envelopeOf("evt_a"));
  await harness.clock.advance(100);
  const held = await harness.delivery("evt_a", "ep1");
  assert.deepEqual([held?.state, held?.attempts], ["backlog", 1]);
  assert.match(held?.reason ?? "", /retry queue is full.*answered 500/);
  queue.free();
  await harness.clock.advance(20_000);
  assert.equal((await harness.delivery("evt_a", "ep1"))?.state, "delivered");
  assert.deepEqual(
    harness.world.sent.map(({ headers }) => headers["posthaste-attempt"]),
    ["1", "2"],
  );
});

test("a full retry queue keeps no other endpoint from its deliveries", async () => {
  await using harness = await openProcessorHarness();
  const queue = fullRetryQueue();
  await harness.add(endpointOf("ep1", { eventTypes: ["bad"] }), endpointOf("ep2", { eventTypes: ["good"] }));
  harness.world.script("ep1", () => ({ status: 500 }));
  harness.start({ wrap: queue.wrap, limits: { windowItems: { high: 8, medium: 8, low: 8, retry: 8 } } });
  await harness.publish(
    ...Array.from({ length: 40 }, (_, index) => envelopeOf(`evt_${index}`, "medium", { type: "bad" })),
  );
  await harness.publish(envelopeOf("evt_good", "medium", { type: "good" }));
  await harness.clock.advance(3000);
  assert.deepEqual(harness.world.idsTo("ep2"), ["evt_good"]);
});

test("an event with deliver_at that the full retry queue refuses is held, and goes out when it is due", async () => {
  await using harness = await openProcessorHarness();
  const queue = fullRetryQueue();
  await harness.add(endpointOf("ep1"));
  harness.start({ wrap: queue.wrap });
  const dueAtMs = START_MS + 600_000;
  await harness.publish(envelopeOf("evt_a", "medium", { deliverAtMs: dueAtMs }));
  await harness.clock.advance(1000);
  assert.equal((await harness.delivery("evt_a", "ep1"))?.state, "backlog");
  queue.free();
  await harness.clock.advance(590_000);
  assert.equal(harness.world.sent.length, 0);
  await harness.clock.advance(20_000);
  assert.deepEqual(harness.world.idsTo("ep1"), ["evt_a"]);
});

test("a 410 of the URL that was called does not disable an endpoint that has another one by now", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  harness.world.script("ep1", () => ({ status: 410, afterMs: 1000 }));
  harness.start();
  await harness.publish(envelopeOf("evt_a"));
  await harness.clock.advance(500);
  await harness.change("ep1", { url: "https://ep1.example/corrected" });
  await harness.clock.advance(1000);
  const endpoint = await harness.drivers.directory.find("acme", "ep1");
  assert.equal(endpoint?.status, "active");
  assert.match((await harness.delivery("evt_a", "ep1"))?.reason ?? "", /410; the endpoint has another URL/);
});
