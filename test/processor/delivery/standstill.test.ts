/** A process that stood still (stopped, suspended, starved): what it holds may be another's since, and was not heard of. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createStandstill } from "@posthaste/processor/delivery/standstill.ts";
import { sampleRecord, endpointOf, envelopeOf, START_MS, TENANT } from "../../support/samples.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import type { ProcessorHarness } from "../../support/processor-harness.ts";
import { openProcessorHarness } from "../../support/processor-harness.ts";

const MINUTE_MS = 60_000;

/** Number of the attempt of each request to `ep1`. */
function attemptsOf({ world }: ProcessorHarness): readonly string[] {
  return world.sent.map(({ headers }) => headers["posthaste-attempt"] ?? "");
}

/** As another process writes it that took the event over. */
function deliveredElsewhere(harness: ProcessorHarness, id: string): void {
  const delivery = sampleRecord(envelopeOf(id), { endpointId: "ep1", state: "delivered", attempt: 1 });
  harness.drivers.ledger.record([{ kind: "delivery", delivery }]);
}

test("attempts that ended while the process stood still are unfinished: made again, and no breaker counts them", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  const processor = harness.start();
  const ids = Array.from({ length: 16 }, (_, at) => `evt_${at}`);
  harness.world.script("ep1", (_request, count) => (count <= 4 ? "hang" : { status: 200 }));
  await harness.publish(...ids.map((id) => envelopeOf(id)));
  await harness.clock.advance(100);
  await harness.clock.standStill(MINUTE_MS);
  await harness.clock.advance(2000);
  assert.deepEqual(new Set(harness.world.idsTo("ep1")), new Set(ids));
  assert.deepEqual(new Set(attemptsOf(harness)), new Set(["1"]));
  assert.equal(harness.world.sent.length, 4 + 16);
  assert.deepEqual(await harness.depths(), { high: 0, medium: 0, low: 0, retry: 0, dead: 0 });
  await harness.stop(processor);
});

test("an attempt that hangs without a standstill is a failed one", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  const processor = harness.start();
  harness.world.script("ep1", (_request, count) => (count === 1 ? "hang" : { status: 200 }));
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(MINUTE_MS);
  assert.deepEqual(attemptsOf(harness), ["1", "2"]);
  await harness.stop(processor);
});

test("what waited during a standstill is not sent when another process has delivered it", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  const processor = harness.start();
  harness.world.script("ep1", () => ({ status: 200, afterMs: 900 }));
  // Four at a time before the first answer: the others wait.
  await harness.publish(...["a", "b", "c", "d", "e", "f"].map((id) => envelopeOf(id)));
  await harness.clock.advance(100);
  assert.equal(harness.world.sent.length, 4);
  for (const id of ["e", "f"]) deliveredElsewhere(harness, id);
  await harness.clock.settle();
  await harness.clock.standStill(MINUTE_MS);
  await harness.clock.advance(MINUTE_MS);
  assert.equal(harness.world.sent.length, 4);
  assert.equal((await harness.depths()).medium, 0);
  await harness.stop(processor);
});

test("a retry that is planned after a standstill asks the ledger before it is made", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { retry: { delays_s: [0, 5, 5] } }));
  const processor = harness.start();
  harness.world.script("ep1", () => ({ status: 500, afterMs: 900 }));
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(100);
  await harness.clock.standStill(MINUTE_MS);
  await harness.clock.advance(1000);
  assert.equal((await harness.depths()).retry, 1);
  deliveredElsewhere(harness, "evt_1");
  await harness.clock.advance(MINUTE_MS);
  assert.deepEqual(attemptsOf(harness), ["1"]);
  assert.equal((await harness.depths()).retry, 0);
  await harness.stop(processor);
});

test("an item that is handed back for one of its endpoints is delivered again to that one alone", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"), endpointOf("ep2"));
  const processor = harness.start();
  harness.world.script("ep2", (_request, count) => (count === 1 ? "hang" : { status: 200 }));
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(1000);
  await harness.clock.standStill(MINUTE_MS);
  await harness.clock.advance(1000);
  assert.deepEqual([harness.world.idsTo("ep1").length, harness.world.idsTo("ep2").length], [1, 2]);
  const { rows } = await harness.drivers.ledger.deliveries({ tenant: TENANT, eventId: "evt_1" }, 10, null);
  assert.deepEqual(
    rows.map(({ state }) => state),
    ["delivered", "delivered"],
  );
  await harness.stop(processor);
});

test("a standstill is noticed before the first late timer rings, is told once, and is recent for two minutes", async () => {
  const clock = createManualClock(START_MS);
  const found: number[] = [];
  const deaf = { ...clock, onStandstill: () => () => undefined };
  let busy = true;
  const standstill = createStandstill({ clock: deaf, isBusy: () => busy, found: (ms) => void found.push(ms) });
  standstill.watch();
  await clock.advance(10_000);
  assert.deepEqual([standstill.count(), standstill.isRecent()], [0, false]);
  const frozen = clock.standStill(MINUTE_MS);
  assert.deepEqual([standstill.count(), standstill.isRecent(), found.length], [1, true, 1]);
  await frozen;
  await clock.advance(119_000);
  assert.deepEqual([standstill.count(), standstill.isRecent()], [1, true]);
  await clock.advance(2000);
  assert.equal(standstill.isRecent(), false);
  busy = false;
  await clock.advance(5000);
  assert.equal(clock.timerCount(), 0, "nothing is under way, so nothing is watched");
});
