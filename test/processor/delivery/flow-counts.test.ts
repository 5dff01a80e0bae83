/** What a settled attempt leaves in the stats beside its own count: how its lane flows, and how its endpoint was found. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { TOOK_BOUNDS_MS } from "@posthaste/shared/domain/lane-minutes.ts";
import { openProcessorHarness } from "../../support/processor-harness.ts";
import { TENANT, endpointOf, envelopeOf } from "../../support/samples.ts";

test("attempts are counted for their lane, with the time from when they were due, retries and waits included", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { retry: { delays_s: [0, 4] } }));
  let answers = 0;
  harness.world.script("ep1", () => ({ status: answers++ === 0 ? 500 : 200 }));
  harness.start();
  await harness.publish(envelopeOf("evt_1", "low"));
  await harness.clock.advance(20_000);
  const flow = await harness.drivers.stats.flow();
  const sum = (pick: (minute: (typeof flow)[number]) => number): number =>
    flow.reduce((total, minute) => total + pick(minute), 0);
  assert.deepEqual([...new Set(flow.map(({ lane }) => lane))], ["low"]);
  assert.deepEqual(
    [sum(({ delivered }) => delivered), sum(({ retried }) => retried), sum(({ dead }) => dead)],
    [1, 1, 0],
  );
  const index = flow.flatMap(({ took }) => took.findIndex((count) => count > 0)).find((each) => each !== -1) ?? -1;
  const boundMs = TOOK_BOUNDS_MS[index] ?? 0;
  assert.ok(boundMs >= 5000 && boundMs <= 10_000, `${boundMs} ms from when it was due, of which about 4 s were a wait`);
});

test("each event of a batch is counted, and its endpoint once", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { batch: { maxEvents: 3, maxWaitMs: 100 } }));
  harness.start();
  for (const id of ["evt_1", "evt_2", "evt_3"]) await harness.publish(envelopeOf(id, "low"));
  await harness.clock.advance(5000);
  const flow = await harness.drivers.stats.flow();
  assert.equal(harness.world.sent.length, 1);
  assert.deepEqual(
    flow.map(({ lane, delivered, took }) => [lane, delivered, took.reduce((all, count) => all + count, 0)]),
    [["low", 3, 3]],
  );
  assert.equal((await harness.drivers.stats.endpoint(TENANT, "ep1")).attempts, 1);
});

test("an endpoint is seen as it was found: its breaker open after it failed often, closed when it answers again", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { retry: { delays_s: [0, 1] } }));
  let status = 500;
  harness.world.script("ep1", () => ({ status }));
  harness.start();
  const seen = async () => (await harness.drivers.stats.endpoint(TENANT, "ep1")).seen;
  for (let index = 0; index < 40; index++) await harness.publish(envelopeOf(`evt_${index}`));
  await harness.clock.advance(2000);
  const failing = await seen();
  assert.equal(failing?.breaker, "open");
  assert.ok((failing?.inFlightMax ?? 0) >= 1 && (failing?.inFlight ?? -1) >= 0, JSON.stringify(failing));
  status = 200;
  await harness.clock.advance(3_600_000);
  assert.equal((await seen())?.breaker, "closed");
});
