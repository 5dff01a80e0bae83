/** An endpoint is deleted while deliveries to it wait for hours: they end at once, as far as anybody who looks is told. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EndWaitingDeps } from "@posthaste/processor/recovery/end-waiting.ts";
import { endWaiting } from "@posthaste/processor/recovery/end-waiting.ts";
import type { DeliveryView, LedgerEntry } from "@posthaste/shared/ports/ledger.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import type { ProcessorHarness, Reply } from "../../support/processor-harness.ts";
import { openProcessorHarness } from "../../support/processor-harness.ts";
import { START_MS, TENANT, endpointOf, envelopeOf, ids } from "../../support/samples.ts";

const HOUR_S = 3600;
const DELETED = "the endpoint was deleted";

/** Events to `ep1`, which answers like this and is tried after these waits; two seconds pass. */
async function openWaiting(
  count: number,
  delays_s: number[],
  reply: Reply,
  wrap?: (drivers: Drivers) => Drivers,
): Promise<ProcessorHarness> {
  const harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { retry: { delays_s } }));
  harness.world.script("ep1", () => reply);
  harness.start(wrap === undefined ? {} : { wrap });
  await harness.publish(...ids("evt_", count).map((id) => envelopeOf(id)));
  await harness.clock.advance(2000);
  return harness;
}

async function statesOf(harness: ProcessorHarness, count: number) {
  const views = await Promise.all(ids("evt_", count).map((id) => harness.delivery(id, "ep1")));
  return new Set(views.map((view) => `${view?.state} ${view?.attempts} ${view?.reason} ${view?.nextAttemptAtMs}`));
}

for (const { what, delays_s, attempts } of [
  { what: "a retry", delays_s: [0, HOUR_S], attempts: 1 },
  { what: "a first attempt", delays_s: [HOUR_S], attempts: 0 },
]) {
  test(`what waits an hour for ${what} ends when the endpoint is deleted, more than a page of it; its letters come at its time, once`, async () => {
    const count = 120;
    await using harness = await openWaiting(count, delays_s, { status: 404 });
    assert.equal((await harness.depths()).retry, count);
    await harness.drivers.directory.remove(TENANT, "ep1");
    await harness.clock.advance(2000);
    assert.deepEqual(await statesOf(harness, count), new Set([`dead ${attempts} ${DELETED} null`]));
    const { rows } = await harness.drivers.ledger.events({ tenant: TENANT, state: "dead" }, 200, null);
    assert.equal(rows.length, count);
    await harness.clock.advance(HOUR_S * 1500);
    const { retry, dead } = await harness.depths();
    assert.deepEqual([harness.world.sent.length, retry, dead], [attempts * count, 0, count]);
    assert.deepEqual(await statesOf(harness, count), new Set([`dead ${attempts} ${DELETED} null`]));
  });
}

test("what waits for another endpoint of the same event goes on", async () => {
  await using harness = await openWaiting(1, [0, HOUR_S], { status: 500 });
  await harness.add(endpointOf("ep2", { retry: { delays_s: [0, HOUR_S] } }));
  harness.world.script("ep2", (_, count) => ({ status: count === 1 ? 500 : 200 }));
  await harness.publish(envelopeOf("evt_both"));
  await harness.clock.advance(2000);
  await harness.drivers.directory.remove(TENANT, "ep1");
  await harness.clock.advance(2000);
  const states = async () =>
    await Promise.all(["ep1", "ep2"].map(async (id) => (await harness.delivery("evt_both", id))?.state));
  assert.deepEqual(await states(), ["dead", "retrying"]);
  await harness.clock.advance(HOUR_S * 1500);
  assert.deepEqual(await states(), ["dead", "delivered"]);
});

test("an attempt that was under way and succeeds counts", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { retry: { delays_s: [0, 10, HOUR_S] } }));
  harness.world.script("ep1", (_, count) => ({ status: count === 1 ? 500 : 200, afterMs: 5000 }));
  harness.start();
  await harness.publish(envelopeOf("evt_0"));
  while (harness.world.sent.length < 2) await harness.clock.advance(1000);
  await harness.drivers.directory.remove(TENANT, "ep1");
  await harness.clock.advance(1000);
  assert.equal((await harness.delivery("evt_0", "ep1"))?.state, "dead");
  await harness.clock.advance(10_000);
  const delivery = await harness.delivery("evt_0", "ep1");
  assert.deepEqual([delivery?.state, delivery?.attempts, delivery?.reason], ["delivered", 2, null]);
});

for (const pages of [0, 1]) {
  test(`a process that dies over it, after ${pages} pages, leaves the others waiting until their time`, async () => {
    let asked = 0;
    const wrap = (drivers: Drivers): Drivers => {
      const { ledger } = drivers;
      const deliveries: typeof ledger.deliveries = async (filter, limit, cursor) => {
        if (filter.state === "retrying" && asked++ === pages) return await new Promise<never>(() => undefined);
        return await ledger.deliveries(filter, limit, cursor);
      };
      return { ...drivers, ledger: { ...ledger, deliveries } };
    };
    const count = 120;
    await using harness = await openWaiting(count, [0, HOUR_S], { status: 404 }, wrap);
    await harness.drivers.directory.remove(TENANT, "ep1");
    await harness.clock.advance(2000);
    harness.crash();
    const { rows } = await harness.drivers.ledger.events({ tenant: TENANT, state: "dead" }, 200, null);
    assert.equal(rows.length, pages * 50);
    harness.start();
    await harness.clock.advance(HOUR_S * 1500);
    assert.deepEqual(await statesOf(harness, count), new Set([`dead 1 ${DELETED} null`]));
    const { retry, dead } = await harness.depths();
    assert.deepEqual([harness.world.sent.length, retry, dead], [count, 0, count]);
  });
}

test("a store that fails meanwhile is asked again", async () => {
  let failures = 3;
  const wrap = (drivers: Drivers): Drivers => {
    const { ledger } = drivers;
    const deliveries: typeof ledger.deliveries = (filter, limit, cursor) =>
      failures-- > 0 ? Promise.reject(new Error("away")) : ledger.deliveries(filter, limit, cursor);
    return { ...drivers, ledger: { ...ledger, deliveries } };
  };
  await using harness = await openWaiting(2, [0, HOUR_S], { status: 500 }, wrap);
  await harness.drivers.directory.remove(TENANT, "ep1");
  await harness.clock.advance(20_000);
  assert.ok(failures < 0);
  assert.deepEqual(await statesOf(harness, 2), new Set([`dead 1 ${DELETED} null`]));
});

test("what was accepted before the store lost its endpoints was not deleted, and pages without rows are not the end", async () => {
  const recorded: LedgerEntry[] = [];
  const clock = createManualClock(START_MS);
  const viewOf = (eventId: string, acceptedAtMs: number) =>
    ({ tenant: TENANT, eventId, endpointId: "ep1", generation: 0, acceptedAtMs, attempts: 1 }) as DeliveryView;
  const pages = [
    { rows: [], next: "1" },
    { rows: [viewOf("evt_before", START_MS - 1)], next: "2" },
    { rows: [viewOf("evt_after", START_MS)], next: null },
  ];
  const fakes = {
    clock,
    ledger: {
      deliveries: async ({ state }: { state: string }, _limit: number, cursor: string | null) =>
        state === "retrying" ? pages[Number(cursor ?? 0)] : { rows: [], next: null },
      event: async (_tenant: string, id: string) => ({ envelope: envelopeOf(id), fanOut: null }),
    },
    settlements: { record: (entries: LedgerEntry[]) => recorded.push(...entries), flush: () => undefined },
    directory: { endpoints: async () => ({ version: 2, endpoints: [], lostAtMs: START_MS }) },
    signal: new AbortController().signal,
  };
  const ending = endWaiting(fakes as unknown as EndWaitingDeps, TENANT, "ep1");
  await clock.advance(10);
  await ending;
  const endedIds = recorded.map((entry) => (entry.kind === "delivery" ? entry.delivery.eventId : ""));
  assert.deepEqual(endedIds, ["evt_after"]);
});
