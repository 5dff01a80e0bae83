/** What waits for a time goes out when its wait is over, whatever is done to the machine's clock. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openProcessorHarness } from "../support/processor-harness.ts";
import { START_MS, endpointOf, envelopeOf } from "../support/samples.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

for (const aheadMs of [0, MINUTE_MS, HOUR_MS]) {
  test(`a policy that begins with a wait waits as long for an event whose gateway is ${aheadMs / 1000} s ahead`, async () => {
    await using harness = await openProcessorHarness();
    await harness.add(endpointOf("ep1", { retry: { delays_s: [10, 10] } }));
    harness.start();
    await harness.publish(envelopeOf("evt_a", "medium", { acceptedAtMs: START_MS + aheadMs }));
    // A fifth more or less, by chance.
    await harness.clock.advance(7000);
    assert.deepEqual(harness.world.idsTo("ep1"), []);
    await harness.clock.advance(6000);
    assert.deepEqual(harness.world.idsTo("ep1"), ["evt_a"]);
  });
}

for (const stepMs of [-HOUR_MS, -MINUTE_MS, MINUTE_MS, HOUR_MS]) {
  test(`a clock that is set by ${stepMs / 1000} s makes no retry late, neither of before nor of after it`, async () => {
    await using harness = await openProcessorHarness();
    await harness.add(endpointOf("ep1", { retry: { delays_s: [0, 600, 600] } }));
    harness.world.script("ep1", () => ({ status: 404 }));
    harness.start();
    await harness.publish(envelopeOf("evt_a", "medium"));
    await harness.clock.advance(MINUTE_MS);
    harness.clock.stepWall(stepMs);
    await harness.publish(envelopeOf("evt_b", "medium"));
    const attemptsOf = (id: string): number => harness.world.idsTo("ep1").filter((each) => each === id).length;
    await harness.clock.advance(11 * MINUTE_MS);
    assert.ok(attemptsOf("evt_a") >= 2, "of before");
    await harness.clock.advance(2 * MINUTE_MS);
    assert.equal(attemptsOf("evt_b"), 2, "of after");
    harness.world.script("ep1", () => ({ status: 200 }));
    await harness.clock.advance(12 * MINUTE_MS);
    assert.deepEqual([attemptsOf("evt_a"), attemptsOf("evt_b")], [3, 3]);
    assert.equal((await harness.depths()).retry, 0);
  });
}
