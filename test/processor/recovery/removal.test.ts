import assert from "node:assert/strict";
import { test } from "node:test";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import { openProcessorHarness } from "../../support/processor-harness.ts";
import { endpointOf, envelopeOf } from "../../support/samples.ts";

/** The removal of dead letters waits until `go` is called. */
function withSlowRemoval(): { wrap: (drivers: Drivers) => Drivers; go: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return {
    go: resolve,
    wrap: (drivers) => ({
      ...drivers,
      deadLetters: {
        ...drivers.deadLetters,
        async remove(deadLetters) {
          await promise;
          await drivers.deadLetters.remove(deadLetters);
        },
      },
    }),
  };
}

test("a delivery held again before its old dead letter is out of the record is not lost with it", async () => {
  await using harness = await openProcessorHarness();
  const removal = withSlowRemoval();
  await harness.add(endpointOf("ep1", { status: "paused", statusReason: "the owner paused it" }));
  harness.start({ wrap: removal.wrap });
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(1000);
  const resumed = harness.change("ep1", { status: "active", statusReason: null });
  const pausedAgain = harness.change("ep1", { status: "paused", statusReason: "the owner paused it" });
  await harness.clock.advance(1000);
  await Promise.all([resumed, pausedAgain]);
  removal.go();
  await harness.clock.advance(1000);
  const { dead, retry } = await harness.depths();
  assert.deepEqual([harness.world.sent.length, dead + retry], [0, 1]);
});
