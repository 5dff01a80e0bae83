/** Events with `deliver_at` that were cancelled, or may have been: what is cancelled is never sent, what is not always. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import { openProcessorHarness } from "../../support/processor-harness.ts";
import { START_MS, TENANT, endpointOf, envelopeOf } from "../../support/samples.ts";

const nothing = { high: 0, medium: 0, low: 0, retry: 0, dead: 0 };
const HOUR_MS = 3600_000;
const DUE_MS = START_MS + HOUR_MS;
const planned = { tenant: TENANT, id: "evt_1", acceptedAtMs: START_MS, deliverAtMs: DUE_MS };

/** The store of cancellations does not answer before that time. */
function silentUntil(atMs: number, now: () => number) {
  return (drivers: Drivers): Drivers => ({
    ...drivers,
    cancellations: {
      ...drivers.cancellations,
      begin: (event) =>
        now() < atMs
          ? Promise.reject(new PosthasteError("store-unavailable", "Redis is away."))
          : drivers.cancellations.begin(event),
    },
  });
}

async function openWithOne() {
  const harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  return harness;
}

test("a cancelled event is dropped at its time, and the ledger shows it even if nobody told it before", async () => {
  await using harness = await openWithOne();
  harness.start();
  await harness.publish(envelopeOf("evt_1", "high", { deliverAtMs: DUE_MS }));
  await harness.clock.advance(HOUR_MS / 2);
  assert.equal(await harness.drivers.cancellations.cancel(planned), "cancelled");
  await harness.clock.advance(HOUR_MS);
  assert.deepEqual([harness.world.sent.length, await harness.depths()], [0, nothing]);
  const { rows } = await harness.drivers.ledger.events({ tenant: TENANT, state: "cancelled" }, 10, null);
  assert.deepEqual(
    rows.map(({ envelope }) => envelope.id),
    ["evt_1"],
  );
});

test("one that was cancelled while it still lay in its lane is not sent, also when its time came there", async () => {
  await using harness = await openWithOne();
  await harness.publish(envelopeOf("evt_1", "high", { deliverAtMs: DUE_MS }));
  assert.equal(await harness.drivers.cancellations.cancel(planned), "cancelled");
  await harness.clock.advance(2 * HOUR_MS);
  harness.start();
  await harness.clock.advance(1000);
  assert.deepEqual([harness.world.sent.length, await harness.depths()], [0, nothing]);
});

test("while the store does not say, nothing is sent; once it does, the event is, or is not", async () => {
  for (const isCancelled of [true, false]) {
    await using harness = await openWithOne();
    const awayUntilMs = DUE_MS + 60_000;
    harness.start({ wrap: silentUntil(awayUntilMs, () => harness.clock.now()) });
    await harness.publish(envelopeOf("evt_1", "high", { deliverAtMs: DUE_MS }));
    await harness.clock.advance(1000);
    if (isCancelled) await harness.drivers.cancellations.cancel(planned);
    await harness.clock.advance(HOUR_MS + 58_000);
    assert.deepEqual([harness.world.sent.length, await harness.depths()], [0, { ...nothing, retry: 1 }]);
    await harness.clock.advance(300_000);
    assert.deepEqual([harness.world.idsTo("ep1"), await harness.depths()], [isCancelled ? [] : ["evt_1"], nothing]);
  }
});

test("what a full retry queue sent into the dead-letter record before its time cannot be cancelled any more", async () => {
  await using harness = await openWithOne();
  harness.start({
    wrap: (drivers) => ({
      ...drivers,
      retryQueue: { ...drivers.retryQueue, schedule: async () => ({ kind: "full", retryAfterS: 1 }) },
    }),
  });
  await harness.publish(envelopeOf("evt_1", "high", { deliverAtMs: DUE_MS }));
  await harness.clock.advance(100);
  assert.equal((await harness.depths()).dead, 1);
  assert.equal(await harness.drivers.cancellations.cancel(planned), "begun");
});

test("an event without deliver_at asks no store whether it was cancelled", async () => {
  await using harness = await openWithOne();
  let asked = 0;
  harness.start({
    wrap: (drivers) => ({
      ...drivers,
      cancellations: { ...drivers.cancellations, begin: (event) => (asked++, drivers.cancellations.begin(event)) },
    }),
  });
  await harness.publish(envelopeOf("evt_1"), envelopeOf("evt_2", "high", { deliverAtMs: START_MS + 50 }));
  await harness.clock.advance(1000);
  assert.deepEqual([harness.world.sent.length, asked], [2, 1]);
});
