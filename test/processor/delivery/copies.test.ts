/** Copies that a lane gave away because their event held it up: the event arrives once while the first is under way. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { ScheduleCause } from "@posthaste/shared/ports/retry-queue.ts";
import { silentTelemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import { createCompleted } from "@posthaste/processor/delivery/completed.ts";
import { firstDelivery } from "@posthaste/processor/delivery/pending-delivery.ts";
import { scheduledEvent } from "@posthaste/shared/ports/retry-queue.ts";
import type { ProcessorHarness } from "../../support/processor-harness.ts";
import { openProcessorHarness } from "../../support/processor-harness.ts";
import { TENANT, endpointOf, envelopeOf } from "../../support/samples.ts";

/** As the window of a lane does after 5 s. */
async function giveCopyAway(harness: ProcessorHarness, envelope: Envelope, notBeforeMs: number): Promise<void> {
  const plan = { cause: "relieved", notBeforeMs, endpointId: null, generation: 0, attempt: 1 } as const;
  await harness.drivers.retryQueue.schedule([scheduledEvent(envelope, plan)]);
}

/** The ids of the events in each request, in order. */
function membersSent({ world }: ProcessorHarness): readonly (readonly string[])[] {
  return world.sent.map(({ body }) => {
    const { data } = JSON.parse(body) as { data: readonly { id: string }[] };
    return data.map(({ id }) => id);
  });
}

test("a copy of an event that still waits in an open group does not join it again, nor go out alone", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { batch: { maxEvents: 10, maxWaitMs: 60_000 } }));
  const processor = harness.start();
  const events = ["evt_a", "evt_b"].map((id) => envelopeOf(id, "low"));
  await harness.publish(...events);
  for (const [index, event] of events.entries()) {
    await giveCopyAway(harness, event, harness.clock.now() + 25_000 + index);
  }
  await harness.clock.advance(300_000);
  assert.deepEqual(membersSent(harness), [["evt_a", "evt_b"]]);
  assert.equal((await harness.depths()).retry, 0);
  assert.equal(processor.outstanding(), 0);
  await harness.stop(processor);
});

test("a copy whose event is under way here takes no place meanwhile: it waits in the retry queue", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { batch: { maxEvents: 10, maxWaitMs: 60_000 } }));
  const processor = harness.start();
  const events = ["evt_a", "evt_b"].map((id) => envelopeOf(id, "low"));
  await harness.publish(...events);
  for (const event of events) await giveCopyAway(harness, event, harness.clock.now() + 5000);
  await harness.clock.advance(10_000);
  assert.deepEqual([processor.outstanding(), (await harness.depths()).retry], [2, 2]);
  await harness.stop(processor);
});

test("a copy that comes due while the event's own attempt is under way waits for its end", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  const processor = harness.start();
  harness.world.script("ep1", () => ({ status: 200, afterMs: 12_000 }));
  const events = Array.from({ length: 20 }, (_, index) => envelopeOf(`evt_${index}`, "medium"));
  await harness.publish(...events);
  for (const event of events) await giveCopyAway(harness, event, harness.clock.now() + 5000);
  await harness.clock.advance(600_000);
  const ids = harness.world.idsTo("ep1");
  assert.equal(new Set(ids).size, 20);
  assert.equal(ids.length, 20);
  await harness.stop(processor);
});

test("a copy of a retry that is under way waits for its end, and is not sent though the ledger cannot be told", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  const silent = (drivers: Drivers): Drivers => ({
    ...drivers,
    ledger: { ...drivers.ledger, isCompleted: () => Promise.resolve(false) },
  });
  const processor = harness.start({ wrap: silent });
  harness.world.script("ep1", () => ({ status: 200, afterMs: 12_000 }));
  const event = envelopeOf("evt_a", "medium");
  const due = { notBeforeMs: harness.clock.now(), endpointId: "ep1", generation: 0, attempt: 1 };
  await harness.drivers.retryQueue.schedule([scheduledEvent(event, { ...due, cause: "parked" })]);
  await harness.clock.advance(1000);
  await giveCopyAway(harness, event, harness.clock.now());
  await harness.clock.advance(600_000);
  assert.deepEqual(harness.world.idsTo("ep1"), ["evt_a"]);
  assert.deepEqual([(await harness.depths()).retry, processor.outstanding()], [0, 0]);
  await harness.stop(processor);
});

test("an attempt that was deferred and is called back at once waits for its own deferral, and is made", async () => {
  const completed = createCompleted({
    ledger: { isCompleted: () => Promise.resolve(false) },
    settlements: { flush: () => undefined, delivered: () => undefined },
    deliveredLook: { since: () => Promise.resolve(null) },
    crashGuard: { run: (_delivery, work) => work() },
    telemetry: silentTelemetry.delivery,
  });
  for (const isMade of [false, true]) {
    const delivery = firstDelivery(envelopeOf("evt_a"), endpointOf("ep1"), false);
    const gate = Promise.withResolvers<void>();
    const first = completed.unless(delivery, 1, async () => {
      if (isMade) completed.made(delivery);
      await gate.promise;
      return "settled";
    });
    let runs = 0;
    const again = completed.unless(delivery, 1, () => Promise.resolve((runs++, "settled" as const)));
    gate.resolve();
    assert.deepEqual(await Promise.all([first, again]), ["settled", "settled"]);
    assert.equal(runs, isMade ? 0 : 1);
  }
});

/** The ledger learns of what another process did only after it was asked so often. */
function shownAfter(drivers: Drivers, questions: number, asked: string[]): Drivers {
  return {
    ...drivers,
    ledger: {
      ...drivers.ledger,
      isCompleted(key, attempt) {
        asked.push(`${key.eventId} ${attempt}`);
        return Promise.resolve(asked.length > questions);
      },
    },
  };
}

test("the ledger is asked once more right before a copy's attempt, and what it shows by then is not sent again", async () => {
  for (const cause of ["relieved", "replay"] as const satisfies readonly ScheduleCause[]) {
    await using harness = await openProcessorHarness();
    await harness.add(endpointOf("ep1"));
    const asked: string[] = [];
    const processor = harness.start({ wrap: (drivers) => shownAfter(drivers, 1, asked) });
    const plan = {
      cause,
      notBeforeMs: harness.clock.now(),
      endpointId: cause === "replay" ? "ep1" : null,
      generation: 0,
      attempt: 1,
    };
    await harness.drivers.retryQueue.schedule([scheduledEvent(envelopeOf("evt_a", "medium"), plan)]);
    await harness.clock.advance(60_000);
    assert.deepEqual([asked.length, harness.world.sent.length], [2, 0], cause);
    assert.equal((await harness.depths()).retry, 0);
    await harness.stop(processor);
  }
});

test("a copy that was deferred stays one: its attempt is asked about when it comes back", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  const asked: string[] = [];
  const processor = harness.start({ wrap: (drivers) => shownAfter(drivers, 1, asked) });
  harness.world.script("ep1", (_, count) => ({ status: count <= 5 ? 500 : 200 }));
  await harness.publish(...["a", "b", "c", "d", "e"].map((id) => envelopeOf(`evt_${id}`, "medium")));
  await harness.clock.advance(100);
  assert.equal(harness.world.sent.length, 5);
  await giveCopyAway(harness, envelopeOf("evt_x", "medium"), harness.clock.now());
  await harness.clock.advance(900_000);
  assert.deepEqual(asked, ["evt_x 0", "evt_x 1"]);
  assert.ok(!harness.world.idsTo("ep1").includes("evt_x"));
  await harness.stop(processor);
});

test("an endpoint that is paused while the ledger is asked gets nothing: the delivery is held", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  let asked = 0;
  const processor = harness.start({
    wrap: (drivers) => ({
      ...drivers,
      ledger: {
        ...drivers.ledger,
        async isCompleted() {
          asked += 1;
          const pause = () =>
            drivers.directory.update(TENANT, "ep1", (endpoint) => ({ ...endpoint, status: "paused" }));
          if (asked === 2) await pause();
          return false;
        },
      },
    }),
  });
  await giveCopyAway(harness, envelopeOf("evt_a", "medium"), harness.clock.now());
  await harness.clock.advance(1000);
  assert.equal(harness.world.sent.length, 0);
  assert.deepEqual([(await harness.depths()).dead, processor.outstanding()], [1, 0]);
  const { rows } = await harness.drivers.deadLetters.list({ tenant: TENANT }, 10, null);
  assert.equal(rows[0]?.state, "paused");
  await harness.stop(processor);
});
