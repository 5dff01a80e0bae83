/** What cannot be worked on leaves the place that others need, comes back with growing waits, and ends with a reason. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PUT_ASIDE_MAX } from "@posthaste/processor/delivery/put-aside.ts";
import { UNKNOWN_ENDPOINT } from "@posthaste/shared/domain/delivery.ts";
import type { TenantEndpoints } from "@posthaste/shared/ports/directory.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import { PROCESSOR_LIMITS } from "@posthaste/processor/limits.ts";
import { scheduledEvent } from "@posthaste/shared/ports/retry-queue.ts";
import type { ProcessorHarness } from "../../support/processor-harness.ts";
import { openProcessorHarness } from "../../support/processor-harness.ts";
import { START_MS, TENANT, endpointOf, envelopeOf } from "../../support/samples.ts";

const HOUR_MS = 3_600_000;
const BROKEN = "broken";

/** The directory of one tenant cannot be read; how often it was asked. */
function unreadable(state: { isBroken: boolean; reads: number }, tenant = BROKEN) {
  return (drivers: Drivers): Drivers => ({
    ...drivers,
    directory: {
      ...drivers.directory,
      peek: (asked, atLeast) => (asked === tenant && state.isBroken ? null : drivers.directory.peek(asked, atLeast)),
      endpoints: (asked, atLeast) => {
        if (asked !== tenant || !state.isBroken) return drivers.directory.endpoints(asked, atLeast);
        state.reads += 1;
        return Promise.reject(new Error("sealed with another key"));
      },
    },
  });
}

/** The records of these endpoints do not read back while `isBroken`. */
function damaged(state: { isBroken: boolean }, ids: readonly string[]) {
  return (drivers: Drivers): Drivers => {
    const without = (known: TenantEndpoints): TenantEndpoints => {
      if (!state.isBroken) return known;
      return { ...known, endpoints: known.endpoints.filter(({ id }) => !ids.includes(id)), unreadable: ids };
    };
    const directory = {
      ...drivers.directory,
      peek: (tenant: string, atLeast: number) => {
        const known = drivers.directory.peek(tenant, atLeast);
        return known === null ? null : without(known);
      },
      endpoints: async (tenant: string, atLeast: number) => without(await drivers.directory.endpoints(tenant, atLeast)),
    };
    return { ...drivers, directory };
  };
}

test("an endpoint whose record does not read back waits alone, and gets what it subscribes to once it does", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(
    endpointOf("well"),
    endpointOf("odd", { eventTypes: ["order.*"] }),
    endpointOf("other", { eventTypes: ["invoice.*"] }),
    endpointOf("gone"),
  );
  const state = { isBroken: true };
  harness.start({ wrap: damaged(state, ["odd", "other", "gone"]) });
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(100);
  assert.deepEqual(harness.world.idsTo("well"), ["evt_1"]);
  await harness.clock.advance(10_000);
  assert.equal((await harness.delivery("evt_1", "odd"))?.reason, "waits: the tenant's endpoints cannot be read");
  await harness.drivers.directory.remove(TENANT, "gone");
  state.isBroken = false;
  await harness.clock.advance(60_000);
  assert.deepEqual(harness.world.idsTo("odd"), ["evt_1"]);
  assert.deepEqual(harness.world.idsTo("other"), []);
  assert.deepEqual(harness.world.idsTo("well"), ["evt_1"]);
  assert.equal((await harness.delivery("evt_1", "other"))?.state, "filtered");
  assert.equal((await harness.delivery("evt_1", "gone"))?.reason, "the endpoint was deleted");
});

test("an endpoint whose record never reads back has a dead letter with the reason after a day", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("well"), endpointOf("odd"));
  harness.start({ wrap: damaged({ isBroken: true }, ["odd"]) });
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(30 * HOUR_MS);
  const odd = await harness.delivery("evt_1", "odd");
  assert.deepEqual([odd?.state, odd?.reason], ["dead", "the tenant's endpoints could not be read for a day"]);
  assert.deepEqual(harness.world.idsTo("well"), ["evt_1"]);
});

async function dueRetry(harness: ProcessorHarness, putAside = 0): Promise<void> {
  const plan = {
    cause: "retry",
    notBeforeMs: harness.clock.now(),
    endpointId: "ep1",
    generation: 0,
    attempt: 2,
  } as const;
  await harness.drivers.retryQueue.schedule([scheduledEvent(envelopeOf("evt_1"), { ...plan, putAside })]);
}

test("a due retry whose tenant cannot be read waits before it is looked at again, and goes out when it can be", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  const state = { isBroken: true, reads: 0 };
  harness.start({ wrap: unreadable(state, TENANT) });
  await dueRetry(harness);
  await harness.clock.advance(10_000);
  assert.ok(state.reads > 1 && state.reads < 20, `${state.reads} reads in 10 s`);
  assert.equal((await harness.delivery("evt_1", "ep1"))?.reason, "waits: the tenant's endpoints cannot be read");
  state.isBroken = false;
  await harness.clock.advance(60_000);
  assert.deepEqual(harness.world.idsTo("ep1"), ["evt_1"]);
});

test("what its endpoint put off many times is put aside as often as any other", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  const state = { isBroken: true, reads: 0 };
  harness.start({ wrap: unreadable(state, TENANT) });
  const plan = { cause: "parked", notBeforeMs: START_MS, endpointId: "ep1", generation: 0, attempt: 1 } as const;
  const often = scheduledEvent(envelopeOf("evt_1"), { ...plan, deferrals: PUT_ASIDE_MAX, unmade: PUT_ASIDE_MAX });
  await harness.drivers.retryQueue.schedule([often]);
  await harness.clock.advance(10_000);
  assert.equal((await harness.delivery("evt_1", "ep1"))?.state, "pending");
  state.isBroken = false;
  await harness.clock.advance(60_000);
  assert.deepEqual(harness.world.idsTo("ep1"), ["evt_1"]);
});

for (const [words, parts] of [
  ["an event", {}],
  ["an event whose deliver_at has come", { deliverAtMs: START_MS + 1000 }],
] as const) {
  test(`a clock that is set back lets ${words} wait no longer once its tenant can be read`, async () => {
    await using harness = await openProcessorHarness();
    await harness.add(endpointOf("ep2", { tenant: BROKEN }));
    const state = { isBroken: true, reads: 0 };
    harness.start({ wrap: unreadable(state) });
    await harness.publish(envelopeOf("evt_1", "medium", { tenant: BROKEN, ...parts }));
    await harness.clock.advance(5000);
    assert.ok(state.reads > 0);
    harness.clock.stepWall(-HOUR_MS);
    await harness.clock.advance(5000);
    state.isBroken = false;
    await harness.clock.advance(60_000);
    assert.deepEqual(harness.world.idsTo("ep2"), ["evt_1"]);
  });
}

test("events of a tenant that cannot be read fill no lane: those of others go out within seconds", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"), endpointOf("ep2", { tenant: BROKEN }));
  const state = { isBroken: true, reads: 0 };
  harness.start({ wrap: unreadable(state) });
  const count = PROCESSOR_LIMITS.windowItems.medium + 500;
  for (let index = 0; index < count; index++) {
    await harness.publish(envelopeOf(`broken_${index}`, "medium", { tenant: BROKEN }));
  }
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(5000);
  assert.deepEqual(harness.world.idsTo("ep1"), ["evt_1"]);
  state.isBroken = false;
  await harness.clock.advance(5 * 60_000);
  assert.equal(new Set(harness.world.idsTo("ep2")).size, count);
});

test("after a day an event that was never fanned out is a dead letter with the reason, and a due delivery likewise", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  harness.start({ wrap: unreadable({ isBroken: true, reads: 0 }, TENANT) });
  await harness.publish(envelopeOf("evt_new"));
  await dueRetry(harness);
  await harness.clock.advance(23 * HOUR_MS);
  assert.equal((await harness.depths()).dead, 0);
  await harness.clock.advance(4 * HOUR_MS);
  const { rows } = await harness.drivers.deadLetters.list({ tenant: TENANT }, 10, null);
  const found = new Map(rows.map(({ eventId, endpointId, state, reason }) => [eventId, [endpointId, state, reason]]));
  const reason = "the tenant's endpoints could not be read for a day";
  assert.deepEqual(found.get("evt_1"), ["ep1", "dead", reason]);
  assert.deepEqual(found.get("evt_new"), [UNKNOWN_ENDPOINT, "dead", reason]);
  assert.deepEqual(await harness.depths(), { high: 0, medium: 0, low: 0, retry: 0, dead: 2 });
});

test("an error that nobody expected ends the work on its item alone, without a tight circle", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  let throws = 0;
  const wrap = (drivers: Drivers): Drivers => ({
    ...drivers,
    directory: {
      ...drivers.directory,
      peek(tenant, atLeast) {
        if (tenant !== BROKEN) return drivers.directory.peek(tenant, atLeast);
        throws += 1;
        throw new TypeError("a bug");
      },
    },
  });
  harness.start({ wrap });
  await harness.publish(envelopeOf("evt_bad", "medium", { tenant: BROKEN }), envelopeOf("evt_1"));
  await harness.clock.advance(10_000);
  assert.deepEqual(harness.world.idsTo("ep1"), ["evt_1"]);
  assert.ok(throws > 1 && throws < 10, `${throws} times in 10 s`);
  assert.deepEqual(await harness.depths(), { high: 0, medium: 0, low: 0, retry: 1, dead: 0 });
});

test("an item that cannot even be put aside keeps its place until it can be, and is not lost", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  let isDown = true;
  const wrap = (drivers: Drivers): Drivers => ({
    ...unreadable({ isBroken: true, reads: 0 }, TENANT)(drivers),
    retryQueue: {
      ...drivers.retryQueue,
      schedule: (items) => (isDown ? Promise.reject(new Error("no store")) : drivers.retryQueue.schedule(items)),
    },
  });
  const processor = harness.start({ wrap });
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(60_000);
  assert.deepEqual([processor.outstanding(), (await harness.depths()).medium], [1, 1]);
  isDown = false;
  await harness.clock.advance(10_000);
  assert.deepEqual([processor.outstanding(), (await harness.depths()).retry], [0, 1]);
});

test("a delivery with 410 whose endpoint cannot be disabled ends, and keeps no place for ever", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  harness.world.script("ep1", () => ({ status: 410 }));
  const wrap = (drivers: Drivers): Drivers => ({
    ...drivers,
    directory: { ...drivers.directory, update: () => Promise.reject(new Error("sealed with another key")) },
  });
  const processor = harness.start({ wrap });
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(60_000);
  const { rows } = await harness.drivers.deadLetters.list({ tenant: TENANT }, 10, null);
  assert.match(rows[0]?.reason ?? "", /410.*could not be disabled/);
  assert.equal(processor.outstanding(), 0);
});

test("what was put aside so often that it is over is a dead letter at once, also when it was deferred before", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  harness.start({ wrap: unreadable({ isBroken: true, reads: 0 }, TENANT) });
  await dueRetry(harness, PUT_ASIDE_MAX);
  await harness.clock.advance(1000);
  assert.equal((await harness.depths()).dead, 1);
});

test("an event put aside before its deliver_at comes back at that time, not before", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  const deliverAtMs = harness.clock.now() + HOUR_MS;
  let isFull = true;
  let isBroken = true;
  harness.start({
    wrap: (drivers) => ({
      ...drivers,
      directory: {
        ...drivers.directory,
        peek: (tenant, version) => (isBroken ? null : drivers.directory.peek(tenant, version)),
        endpoints: (tenant, version) =>
          isBroken
            ? Promise.reject(new Error("sealed with another key"))
            : drivers.directory.endpoints(tenant, version),
      },
      retryQueue: {
        ...drivers.retryQueue,
        schedule(items) {
          if (!isFull) return drivers.retryQueue.schedule(items);
          isFull = false;
          return Promise.resolve({ kind: "full", retryAfterS: 1 });
        },
      },
    }),
  });
  await harness.publish(envelopeOf("evt_1", "medium", { deliverAtMs }));
  await harness.clock.advance(10_000);
  isBroken = false;
  await harness.clock.advance(HOUR_MS / 2);
  assert.deepEqual(harness.world.idsTo("ep1"), []);
  await harness.clock.advance(HOUR_MS / 2);
  assert.deepEqual(harness.world.idsTo("ep1"), ["evt_1"]);
});
