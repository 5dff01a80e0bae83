import assert from "node:assert/strict";
import { test } from "node:test";
import { createRecovery } from "@posthaste/processor/recovery/recovery.ts";
import { SCHEDULED } from "@posthaste/shared/ports/retry-queue.ts";
import type { RecoveryDeps } from "@posthaste/processor/recovery/recovery.ts";
import { createLeases } from "@posthaste/shared/drivers/memory/leases.ts";
import { silentTelemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import type { DeadLetterFilter } from "@posthaste/shared/ports/dead-letters.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { seededEntropy } from "../../support/ambient.ts";
import type { ProcessorHarness } from "../../support/processor-harness.ts";
import { openProcessorHarness } from "../../support/processor-harness.ts";
import { START_MS, TENANT, endpointOf, envelopeOf, ids } from "../../support/samples.ts";

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

/** Dead letters are scheduled and then not removed, as after a crash in between. */
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

test("dead letters come back in pages of 50 and at most 4 MiB, one write each", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { status: "paused" }));
  const body = new Uint8Array(1024 * 1024).fill(32);
  const writes: number[] = [];
  let longest = 0;
  harness.start({
    wrap: (drivers) => ({
      ...drivers,
      deadLetters: {
        ...drivers.deadLetters,
        list: (filter, limit, cursor) => {
          longest = Math.max(longest, limit);
          return drivers.deadLetters.list(filter, limit, cursor);
        },
      },
      retryQueue: {
        ...drivers.retryQueue,
        schedule: (items) => {
          writes.push(items.length);
          return drivers.retryQueue.schedule(items);
        },
      },
    }),
  });
  await harness.publish(...ids("evt_", 10).map((id) => ({ ...envelopeOf(id), body })));
  await harness.clock.advance(1000);
  await harness.change("ep1", active);
  await harness.clock.advance(5000);
  assert.deepEqual([writes, longest, new Set(harness.world.idsTo("ep1")).size], [[4, 4, 2], 50, 10]);
});

test("what is held comes back although the store's pages are empty for a while, as it looks at so many and no more", async () => {
  await using harness = await openWithHeld(120);
  harness.crash();
  await harness.change("ep1", active);
  /** Two empty pages before each real one. */
  const list: Drivers["deadLetters"]["list"] = async (filter, limit, cursor) => {
    const [, empty = "0", rest = ""] = /^(\d):(.*)$/.exec(cursor ?? "0:") ?? [];
    if (Number(empty) < 2) return { rows: [], next: `${Number(empty) + 1}:${rest}` };
    const page = await deadLetters.list(filter, limit, rest === "" ? null : rest);
    return { rows: page.rows, next: page.next === null ? null : `0:${page.next}` };
  };
  const { deadLetters } = harness.drivers;
  harness.start({ wrap: (drivers) => ({ ...drivers, deadLetters: { ...drivers.deadLetters, list } }) });
  await harness.clock.advance(10_000);
  assert.equal(new Set(harness.world.idsTo("ep1")).size, 120);
  assert.deepEqual(await harness.depths(), nothing);
});

test("what is held for an endpoint that is deleted ends as dead, with the reason, and its event is not kept for it", async () => {
  await using harness = await openWithHeld(3);
  await harness.drivers.directory.remove(TENANT, "ep1");
  await harness.clock.advance(5000);
  const delivery = await harness.delivery("evt_0", "ep1");
  assert.deepEqual([delivery?.state, delivery?.reason], ["dead", "the endpoint was deleted"]);
  assert.deepEqual([harness.world.sent.length, await harness.depths()], [0, { ...nothing, dead: 3 }]);
  const { rows } = await harness.drivers.deadLetters.list({ tenant: TENANT }, 10, null);
  assert.deepEqual(new Set(rows.map(({ state }) => state)), new Set(["dead"]));
  await harness.clock.advance(25 * 3600 * 1000);
  assert.equal(await harness.drivers.ledger.event(TENANT, "evt_0"), null);
});

test("what is held for an endpoint that was deleted while no processor ran ends at the next start", async () => {
  await using harness = await openWithHeld(3);
  harness.crash();
  await harness.drivers.directory.remove(TENANT, "ep1");
  await harness.clock.advance(1000);
  harness.start();
  await harness.clock.advance(5000);
  assert.equal((await harness.delivery("evt_2", "ep1"))?.state, "dead");
});

test("an endpoint paused between two pages gets no further page back", async () => {
  await using harness = await openWithHeld(120);
  harness.crash();
  await harness.change("ep1", active);
  let pages = 0;
  harness.start({
    wrap: (drivers) => ({
      ...drivers,
      retryQueue: {
        ...drivers.retryQueue,
        async schedule(items) {
          pages += 1;
          const result = await drivers.retryQueue.schedule(items);
          if (pages === 1) await harness.change("ep1", { status: "paused" });
          return result;
        },
        take: () => new Promise(() => undefined),
      },
    }),
  });
  await harness.clock.advance(5000);
  assert.deepEqual([pages, await harness.depths()], [1, { ...nothing, dead: 70, retry: 50 }]);
});

test("between two pages others get their turn, in a recovery and in the look at a start", async () => {
  const log: string[] = [];
  const clock = createManualClock(START_MS);
  const deadLetters = ids("evt_", 120).map((id) => ({
    id,
    tenant: TENANT,
    endpointId: "ep1",
    envelope: envelopeOf(id),
  }));
  const fakes = {
    clock: { ...clock, sleep: async () => void log.push("turn") },
    deadLetters: {
      async list({ endpointId, state }: DeadLetterFilter, limit: number, cursor: string | null) {
        log.push(endpointId === undefined ? "look" : "list");
        const from = Number(cursor ?? 0);
        const isMore = endpointId === undefined && from + limit < deadLetters.length;
        return {
          rows: state === "paused" ? deadLetters.slice(from, from + limit) : [],
          next: isMore ? `${from + limit}` : null,
        };
      },
      remove: async (removed: readonly unknown[]) => void deadLetters.splice(0, removed.length),
    },
    retryQueue: { schedule: async () => (log.push("write"), SCHEDULED) },
    entropy: seededEntropy(1),
    leases: createLeases({ clock }),
    directory: { find: async () => endpointOf("ep1") },
    untilStored: async <Value>(_what: string, write: () => Promise<Value>) =>
      ({ kind: "done", value: await write() }) as const,
    perS: 100,
    signal: new AbortController().signal,
    telemetry: silentTelemetry.endpoint,
  };
  const recovery = createRecovery(fakes as unknown as RecoveryDeps);
  await recovery.recoverAll(fakes.signal);
  for (const step of ["look", "write"]) {
    const text = log.filter((each) => each === step || each === "turn").join(" ");
    assert.ok(text.includes(`${step} turn`) && !text.includes(`${step} ${step}`), text);
  }
  assert.equal(log.filter((each) => each === "write").length, 3);
});

test("while another process brings the dead letters of an endpoint back nobody else does, until its lease ends", async () => {
  await using harness = await openWithHeld(3);
  harness.crash();
  await harness.change("ep1", active);
  await harness.drivers.leases.acquire("recover:ep1", "another process", 15_000);
  harness.start();
  await harness.clock.advance(14_999);
  assert.deepEqual([harness.world.sent.length, (await harness.depths()).dead], [0, 3]);
  await harness.clock.advance(2000);
  assert.deepEqual(harness.world.idsTo("ep1").toSorted(), ["evt_0", "evt_1", "evt_2"]);
});

test("what was held before its deliver_at comes back no sooner", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  const deliverAtMs = harness.clock.now() + 60_000;
  const envelope = { ...envelopeOf("evt_1"), deliverAtMs };
  const key = { tenant: TENANT, eventId: "evt_1", endpointId: "ep1", generation: 0 };
  const held = { state: "paused", reason: "paused", attempts: 0, atMs: harness.clock.now() } as const;
  await harness.drivers.deadLetters.append([{ ...key, ...held, id: "dlv_1", envelope }]);
  harness.start();
  await harness.clock.advance(59_000);
  assert.deepEqual([harness.world.sent.length, (await harness.depths()).retry], [0, 1]);
  await harness.clock.advance(2000);
  assert.deepEqual(harness.world.idsTo("ep1"), ["evt_1"]);
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

test("a crash between taking dead letters back and removing them repeats no delivery", async () => {
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

test("dead letters stay in the record while the retry queue is full, and go out when there is room", async () => {
  await using harness = await openWithHeld(1);
  harness.crash();
  await harness.change("ep1", active);
  let refusals = 0;
  harness.start({
    wrap: (drivers) => ({
      ...drivers,
      retryQueue: {
        ...drivers.retryQueue,
        async schedule(items) {
          if (refusals === 3) return drivers.retryQueue.schedule(items);
          refusals += 1;
          assert.equal((await harness.depths()).dead, 1);
          return { kind: "full", retryAfterS: 1 };
        },
      },
    }),
  });
  await harness.clock.advance(10_000);
  assert.deepEqual([refusals, harness.world.idsTo("ep1"), await harness.depths()], [3, ["evt_0"], nothing]);
});

test("an endpoint that is paused again before its dead letters go out holds them again", async () => {
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

test("backlog dead letters are kept back while their endpoint is down, and delivered when it recovers", async () => {
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
    (await harness.drivers.ledger.deliveries({ tenant: TENANT, endpointId: "ep1", state: "delivered" }, 100, null)).rows
      .length,
    45,
  );
});
