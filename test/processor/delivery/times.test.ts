/** What the ledger is told of a delivery's time: in its lane, in the limiter, deferred, between attempts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openProcessorHarness } from "../../support/processor-harness.ts";
import { endpointOf, envelopeOf } from "../../support/samples.ts";

test("a delivery that is made at once was nowhere for long", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  harness.start();
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(1000);
  const view = await harness.delivery("evt_1", "ep1");
  assert.deepEqual(view?.times, { laneMs: 0, limiterMs: 0, deferredMs: 0, retryMs: 0 });
  assert.equal(view?.wait, null);
});

test("the time before a processor took it is the lane's, and the time between attempts the retry schedule's", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { retry: { delays_s: [0, 60] } }));
  harness.world.script("ep1", (_request, count) => ({ status: count === 1 ? 500 : 200, afterMs: 100 }));
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(7000);
  harness.start();
  await harness.clock.advance(1000);
  const retrying = await harness.delivery("evt_1", "ep1");
  assert.deepEqual([retrying?.state, retrying?.wait], ["retrying", "retry"]);
  assert.deepEqual(retrying?.times, { laneMs: 7000, limiterMs: 0, deferredMs: 0, retryMs: 0 });
  const plannedMs = (retrying?.nextAttemptAtMs ?? 0) - (retrying?.updatedAtMs ?? 0);
  await harness.clock.advance(120_000);
  const delivered = await harness.delivery("evt_1", "ep1");
  assert.equal(delivered?.state, "delivered");
  assert.deepEqual(delivered?.times, { laneMs: 7000, limiterMs: 0, deferredMs: 0, retryMs: plannedMs });
});

test("a deferral is told with its code, and the time until it is taken again is the deferral's", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { retry: { delays_s: [0] } }));
  let isAway = true;
  harness.world.script("ep1", () => (isAway ? "exhausted" : { status: 200 }));
  harness.start();
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(100);
  const waiting = await harness.delivery("evt_1", "ep1");
  assert.deepEqual([waiting?.state, waiting?.wait], ["pending", "exhausted"]);
  isAway = false;
  await harness.clock.advance(3_600_000);
  const delivered = await harness.delivery("evt_1", "ep1");
  assert.equal(delivered?.state, "delivered");
  assert.equal(delivered?.times?.deferredMs, (delivered?.updatedAtMs ?? 0) - (waiting?.updatedAtMs ?? 0) - 10);
  assert.equal(delivered?.times?.retryMs, 0);
});

test("the wait for a slot is the limiter's", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  harness.world.script("ep1", () => ({ status: 200, afterMs: 300 }));
  harness.start();
  const ids = Array.from({ length: 200 }, (_, nth) => `evt_${nth}`);
  for (const id of ids) await harness.publish(envelopeOf(id, "high"));
  await harness.clock.advance(60_000);
  const views = await Promise.all(ids.map((id) => harness.delivery(id, "ep1")));
  const waits = views.map((view) => view?.times?.limiterMs ?? 0);
  assert.ok(waits.some((ms) => ms === 0) && waits.some((ms) => ms >= 290), JSON.stringify(waits));
  for (const view of views) {
    const { laneMs = 0, limiterMs = 0, deferredMs = 0, retryMs = 0 } = view?.times ?? {};
    // Nothing is left out: with the attempt of 300 ms it is the whole time.
    const wholeMs = (view?.updatedAtMs ?? 0) - (view?.acceptedAtMs ?? 0);
    assert.equal(laneMs + limiterMs + deferredMs + retryMs + 300, wholeMs);
  }
});

test("of an event with deliver_at the lane's time begins then", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  harness.start();
  await harness.publish(envelopeOf("evt_1", "medium", { deliverAtMs: harness.clock.now() + 60_000 }));
  await harness.clock.advance(90_000);
  const view = await harness.delivery("evt_1", "ep1");
  assert.deepEqual([view?.state, view?.times?.laneMs], ["delivered", 0]);
});
