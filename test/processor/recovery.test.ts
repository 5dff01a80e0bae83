import assert from "node:assert/strict";
import { test } from "node:test";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { ProcessorHarness } from "../support/processor-harness.ts";
import { endpointOf, envelopeOf, ids, openProcessorHarness, TENANT } from "../support/processor-harness.ts";

const nothing = { high: 0, medium: 0, low: 0, retry: 0, dead: 0 };
const active = { status: "active", statusReason: null } as const;

/** `count` events held for the paused endpoint `ep1`; a processor runs. */
async function openWithHeld(count: number): Promise<ProcessorHarness> {
  const harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { status: "paused", statusReason: "the owner paused it" }));
  harness.start();
  await harness.publish(...ids("evt_", count).map((id) => envelopeOf(id)));
  await harness.clock.advance(1000);
  return harness;
}

/** Letters are scheduled and then not removed, as after a crash in between. */
function withoutRemove(drivers: Drivers): Drivers {
  return { ...drivers, deadLetters: { ...drivers.deadLetters, remove: () => new Promise<void>(() => undefined) } };
}

test("a paused endpoint's deliveries are held without an attempt, with the reason", async () => {
  await using harness = await openWithHeld(2);
  const delivery = await harness.delivery("evt_0", "ep1");
  assert.deepEqual([delivery?.state, delivery?.reason, delivery?.attempts], ["paused", "the owner paused it", 0]);
  assert.deepEqual([harness.world.sent.length, await harness.depths()], [0, { ...nothing, dead: 2 }]);
});

test("after the endpoint is resumed what was held is delivered, in its own generation, as attempt 1", async () => {
  await using harness = await openWithHeld(3);
  await harness.change("ep1", active);
  await harness.clock.advance(5000);
  assert.deepEqual(harness.world.idsTo("ep1"), ["evt_0", "evt_1", "evt_2"]);
  assert.ok(harness.world.sent.every(({ headers }) => headers["posthaste-attempt"] === "1"));
  const delivery = await harness.delivery("evt_0", "ep1");
  assert.deepEqual([delivery?.state, delivery?.generation], ["delivered", 0]);
  assert.deepEqual(await harness.depths(), nothing);
});

test("what was held comes back spread, a hundred a second", async () => {
  await using harness = await openWithHeld(50);
  await harness.change("ep1", active);
  await harness.clock.advance(250);
  assert.ok(harness.world.sent.length >= 20 && harness.world.sent.length <= 26, String(harness.world.sent.length));
  await harness.clock.advance(1000);
  assert.equal(new Set(harness.world.idsTo("ep1")).size, 50);
});

test("more than a page that was held comes back whole, and once", async () => {
  await using harness = await openWithHeld(700);
  await harness.change("ep1", active);
  await harness.clock.advance(10_000);
  assert.deepEqual([harness.world.sent.length, new Set(harness.world.idsTo("ep1")).size], [700, 700]);
  assert.deepEqual(await harness.depths(), nothing);
});

test("a change of another endpoint brings nothing back", async () => {
  await using harness = await openWithHeld(1);
  await harness.add(endpointOf("ep2"));
  await harness.clock.advance(5000);
  assert.equal((await harness.depths()).dead, 1);
});

test("what was held while no processor ran comes back at the next start", async () => {
  await using harness = await openWithHeld(2);
  harness.crash();
  await harness.change("ep1", active);
  harness.start();
  await harness.clock.advance(5000);
  assert.deepEqual([harness.world.idsTo("ep1").toSorted(), await harness.depths()], [["evt_0", "evt_1"], nothing]);
});

test("a crash between taking letters back and removing them repeats no delivery", async () => {
  await using harness = await openWithHeld(3);
  harness.crash();
  await harness.change("ep1", active);
  harness.start({
    wrap: (drivers) => ({
      ...withoutRemove(drivers),
      retryQueue: { ...drivers.retryQueue, take: () => new Promise(() => undefined) },
    }),
  });
  await harness.clock.advance(5);
  harness.crash();
  assert.deepEqual(await harness.depths(), { ...nothing, dead: 3, retry: 3 });
  harness.start();
  await harness.clock.advance(10_000);
  assert.deepEqual(
    [harness.world.idsTo("ep1").toSorted(), await harness.depths()],
    [["evt_0", "evt_1", "evt_2"], nothing],
  );
});

test("a second crash in between repeats nothing either", async () => {
  await using harness = await openWithHeld(3);
  harness.crash();
  await harness.change("ep1", active);
  for (let crash = 0; crash < 2; crash++) {
    harness.start({ wrap: withoutRemove });
    await harness.clock.advance(1000);
    harness.crash();
  }
  harness.start();
  await harness.clock.advance(10_000);
  assert.deepEqual(
    [harness.world.idsTo("ep1").toSorted(), await harness.depths()],
    [["evt_0", "evt_1", "evt_2"], nothing],
  );
});

test("a store that fails during a recovery at start is asked again, and the endpoint can recover later too", async () => {
  await using harness = await openWithHeld(1);
  harness.crash();
  await harness.change("ep1", active);
  let failures = 0;
  harness.start({
    wrap: (drivers) => ({
      ...drivers,
      retryQueue: {
        ...drivers.retryQueue,
        schedule(items) {
          failures += 1;
          return failures <= 3 ? Promise.reject(new Error("no store")) : drivers.retryQueue.schedule(items);
        },
      },
    }),
  });
  await harness.clock.advance(10_000);
  assert.deepEqual([failures, harness.world.idsTo("ep1"), await harness.depths()], [4, ["evt_0"], nothing]);
});

test("an endpoint that is paused again before its letters go out holds them again", async () => {
  await using harness = await openWithHeld(100);
  await harness.change("ep1", active);
  await harness.clock.advance(200);
  await harness.change("ep1", { status: "paused", statusReason: "again" });
  await harness.clock.advance(5000);
  const sent = harness.world.sent.length;
  assert.ok(sent > 0 && sent < 100);
  assert.equal((await harness.depths()).dead, 100 - sent);
  await harness.change("ep1", active);
  await harness.clock.advance(5000);
  assert.equal(new Set(harness.world.idsTo("ep1")).size, 100);
});

test("backlog letters are kept back while their endpoint is down, and delivered when it recovers", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  harness.world.script("ep1", () => ({ status: 500 }));
  harness.start({ limits: { backlogMax: 10 } });
  await harness.publish(...ids("first_", 5).map((id) => envelopeOf(id)));
  await harness.clock.advance(1000);
  await harness.publish(...ids("evt_", 40).map((id) => envelopeOf(id)));
  await harness.clock.advance(3000);
  const delivery = await harness.delivery("evt_39", "ep1");
  assert.deepEqual([delivery?.state, delivery?.attempts, (await harness.depths()).dead], ["backlog", 0, 30]);
  harness.world.script("ep1", () => ({ status: 200 }));
  await harness.clock.advance(300_000);
  assert.deepEqual(await harness.depths(), nothing);
  assert.equal(
    (await harness.drivers.ledger.deliveries({ tenant: TENANT, state: "delivered" }, 100, null)).rows.length,
    45,
  );
});
