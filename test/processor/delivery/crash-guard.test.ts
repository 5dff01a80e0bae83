/** A delivery that ends the process whenever it is attempted: found out, dead-lettered, and alone with its end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { UNENDED_MAX } from "@posthaste/processor/delivery/crash-guard.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { UNKNOWN_ENDPOINT } from "@posthaste/shared/domain/delivery.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { BegunAttempts } from "@posthaste/shared/ports/begun-attempts.ts";
import type { Lane } from "@posthaste/shared/domain/event.ts";
import { endpointOf, envelopeOf } from "../../support/samples.ts";
import type { ProcessorHarness } from "../../support/processor-harness.ts";
import { openProcessorHarness } from "../../support/processor-harness.ts";

const HOSTILE = "evt_hostile";
/** Lives of the process until it is found out: its first attempt, then each counted one. */
const DEATHS_MAX = UNENDED_MAX + 1;

/**
 * One process after the other, each of which dies when the hostile event's request arrives. Gives how many died; the last
 * one lives until nothing is left to do.
 */
async function liveOn(harness: ProcessorHarness, livesMax: number): Promise<number> {
  for (let deaths = 0; deaths < livesMax; deaths++) {
    const before = harness.world.idsTo("hostile").length;
    harness.start();
    for (let step = 0; step < 400; step++) {
      if (harness.world.idsTo("hostile").length > before) break;
      await harness.clock.advance(25);
    }
    if (harness.world.idsTo("hostile").length === before) return deaths;
    harness.crash();
  }
  return livesMax;
}

for (const lane of ["high", "medium", "low"] as const satisfies readonly Lane[]) {
  test(`${lane}: an event that ends its process is dead after ${DEATHS_MAX} processes, and the others are delivered`, async () => {
    await using harness = await openProcessorHarness();
    await harness.add(endpointOf("hostile", { eventTypes: ["bad"] }), endpointOf("good", { eventTypes: ["fine"] }));
    harness.world.script("hostile", () => "hang");
    // Under way at each death, as the hostile one is.
    harness.world.script("good", () => ({ status: 200, afterMs: 200 }));
    const others = Array.from({ length: 40 }, (_, index) => ({ ...envelopeOf(`evt_${index}`, lane), type: "fine" }));
    await harness.publish(...others, { ...envelopeOf(HOSTILE, lane), type: "bad" });

    assert.equal(await liveOn(harness, 20), DEATHS_MAX);
    assert.deepEqual(new Set(harness.world.idsTo("good")), new Set(others.map(({ id }) => id)));
    const { rows } = await harness.drivers.deadLetters.list({ tenant: null }, 10, null);
    assert.deepEqual(
      rows.map(({ eventId, endpointId, state, attempts }) => [eventId, endpointId, state, attempts]),
      [[HOSTILE, "hostile", "dead", 0]],
    );
    assert.match(rows[0]?.reason ?? "", /^the processor ended 5 times in a row while this attempt was under way/);
    assert.deepEqual(await harness.depths(), { high: 0, medium: 0, low: 0, retry: 0, dead: 1 });
  });
}

test("a retry that ends its process is dead after as many, with its attempts so far", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("hostile", { retry: { delays_s: [0, 1, 1] } }));
  harness.world.script("hostile", (_request, count) => (count === 1 ? { status: 500 } : "hang"));
  await harness.publish(envelopeOf(HOSTILE));
  harness.start();
  await harness.clock.advance(200);
  assert.equal(harness.world.idsTo("hostile").length, 1);
  harness.crash();
  // One that is due is no repeat where only the wait for it was under way.
  assert.ok((await liveOn(harness, 20)) <= DEATHS_MAX);
  const { rows } = await harness.drivers.deadLetters.list({ tenant: null }, 10, null);
  assert.deepEqual(
    rows.map(({ attempts, state }) => [attempts, state]),
    [[1, "dead"]],
  );
});

test("deaths that have nothing to do with what is under way cost no delivery, and the count ends with the attempt", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("slow"));
  harness.world.script("slow", () => ({ status: 200, afterMs: 300 }));
  const ids = Array.from({ length: 30 }, (_, index) => `evt_${index}`);
  await harness.publish(...ids.map((id) => envelopeOf(id)));
  for (let death = 0; death < UNENDED_MAX; death++) {
    harness.start();
    await harness.clock.advance(100);
    harness.crash();
  }
  harness.start();
  await harness.clock.advance(60_000);
  assert.deepEqual(await harness.depths(), { high: 0, medium: 0, low: 0, retry: 0, dead: 0 });
  for (const id of ids) assert.equal((await harness.delivery(id, "slow"))?.state, "delivered");
});

test("a store that cannot be asked costs the count and not the attempt", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("good"));
  harness.world.script("good", (_request, count) => (count === 1 ? "hang" : { status: 200 }));
  await harness.publish(envelopeOf("evt_a"));
  harness.start();
  await harness.clock.advance(100);
  harness.crash();
  const away = (): Promise<never> => Promise.reject(new PosthasteError("store-unavailable", "away"));
  const begunAttempts: BegunAttempts = { unended: away, begin: away, end: away };
  harness.start({ wrap: (drivers) => ({ ...drivers, begunAttempts }) });
  await harness.clock.advance(1000);
  assert.equal((await harness.delivery("evt_a", "good"))?.state, "delivered");
});

/** The tenant's endpoints are never read to the end: `reads` counts how often it was begun. */
function dyingAtFanOut(state: { reads: number }) {
  return (drivers: Drivers): Drivers => ({
    ...drivers,
    directory: {
      ...drivers.directory,
      peek: (tenant, atLeast) => (tenant === "hostile" ? null : drivers.directory.peek(tenant, atLeast)),
      endpoints(tenant, atLeast) {
        if (tenant !== "hostile") return drivers.directory.endpoints(tenant, atLeast);
        state.reads += 1;
        return new Promise(() => undefined);
      },
    },
  });
}

for (const lane of ["high", "medium", "low"] as const satisfies readonly Lane[]) {
  test(`${lane}: an event that ends its process in the fan-out is dead after ${DEATHS_MAX} processes, and the others are delivered`, async () => {
    await using harness = await openProcessorHarness();
    await harness.add(endpointOf("good"));
    harness.world.script("good", () => ({ status: 200, afterMs: 200 }));
    const others = Array.from({ length: 40 }, (_, index) => envelopeOf(`evt_${index}`, lane));
    await harness.publish(...others, { ...envelopeOf(HOSTILE, lane), tenant: "hostile" });

    const state = { reads: 0 };
    let deaths = 0;
    for (; deaths < 20; deaths++) {
      const before = state.reads;
      harness.start({ wrap: dyingAtFanOut(state) });
      for (let step = 0; step < 400 && state.reads === before; step++) await harness.clock.advance(25);
      if (state.reads === before) break;
      harness.crash();
    }
    assert.equal(deaths, DEATHS_MAX);
    assert.deepEqual(new Set(harness.world.idsTo("good")), new Set(others.map(({ id }) => id)));
    const { rows } = await harness.drivers.deadLetters.list({ tenant: null }, 10, null);
    assert.deepEqual(
      rows.map(({ eventId, endpointId, state: standing }) => [eventId, endpointId, standing]),
      [[HOSTILE, UNKNOWN_ENDPOINT, "dead"]],
    );
    assert.match(rows[0]?.reason ?? "", /^the processor ended 5 times in a row while it was fanned out/);
    assert.deepEqual(await harness.depths(), { high: 0, medium: 0, low: 0, retry: 0, dead: 1 });
  });
}
