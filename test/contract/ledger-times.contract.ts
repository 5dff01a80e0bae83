/** What the port `ledger` promises of a delivery's times: what each record adds, and what it waits for since. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Leg } from "@posthaste/shared/domain/delivery.ts";
import type { DeliveryRecord, DeliveryView } from "@posthaste/shared/ports/ledger.ts";
import type { Harness, OpenHarness } from "./harness.ts";
import { ENDPOINT_ID, sampleEnvelope, sampleRecord, START_MS, TENANT } from "../support/samples.ts";

const ENVELOPE = sampleEnvelope("evt_a");
const at = (ms: number): number => START_MS + ms;

/** Taken after `takenMs`, in the limiter for `limiterMs`. */
const leg = (takenMs: number, limiterMs: number, wait: Leg["wait"] = null): Leg => ({
  sinceMs: START_MS,
  takenAtMs: at(takenMs),
  limiterMs,
  wait,
});
const deferred = (atMs: number, own: Leg): Partial<DeliveryRecord> => ({
  state: "pending",
  attempt: 0,
  result: null,
  atMs: at(atMs),
  reason: "waits",
  nextAttemptAtMs: at(atMs + 10_000),
  leg: own,
});

async function shownAfter(harness: Harness, ...records: readonly Partial<DeliveryRecord>[]): Promise<DeliveryView> {
  const { ledger } = harness.drivers;
  for (const parts of records) ledger.record([{ kind: "delivery", delivery: sampleRecord(ENVELOPE, parts) }]);
  await harness.drivers.flush();
  const { rows } = await ledger.deliveries({ tenant: TENANT, eventId: ENVELOPE.id, endpointId: ENDPOINT_ID }, 10, null);
  const [view] = rows;
  assert.ok(view !== undefined);
  return view;
}

async function openWithEvent(open: OpenHarness): Promise<Harness> {
  const harness = await open();
  await harness.drivers.lanes.append([ENVELOPE]);
  return harness;
}

export function ledgerTimesContract(name: string, open: OpenHarness): void {
  test(`${name} ledger times: the first record counts the wait in the lane, and in the limiter`, async () => {
    await using harness = await openWithEvent(open);
    const view = await shownAfter(harness, { state: "delivered", atMs: at(900), leg: leg(400, 300) });
    assert.deepEqual(view.times, { laneMs: 400, limiterMs: 300, deferredMs: 0, retryMs: 0 });
    assert.equal(view.wait, null);
  });

  test(`${name} ledger times: what passes from one record to the next counts as what it waited for`, async () => {
    await using harness = await openWithEvent(open);
    const busy = deferred(1000, leg(400, 600, "busy"));
    const waiting = await shownAfter(harness, busy);
    assert.deepEqual([waiting.wait, waiting.updatedAtMs], ["busy", at(1000)]);
    const failed = { state: "retrying", attempt: 1, atMs: at(12_000), nextAttemptAtMs: at(17_000) } as const;
    const retrying = await shownAfter(harness, { ...failed, leg: leg(11_500, 100, "retry") });
    assert.equal(retrying.wait, "retry");
    assert.deepEqual(retrying.times, { laneMs: 400, limiterMs: 700, deferredMs: 10_500, retryMs: 0 });
    const last = { state: "delivered", attempt: 2, atMs: at(18_000), leg: leg(17_020, 50) } as const;
    const delivered = await shownAfter(harness, last);
    assert.deepEqual(delivered.times, { laneMs: 400, limiterMs: 750, deferredMs: 10_500, retryMs: 5020 });
    assert.equal(delivered.wait, null);
  });

  test(`${name} ledger times: what was held counts as deferred, and the first wait of a retry policy as retry`, async () => {
    await using harness = await openWithEvent(open);
    const first = deferred(10, leg(10, 0, "first-wait"));
    const held = { state: "paused", attempt: 0, result: null, atMs: at(1010), leg: leg(1010, 0) } as const;
    const again = { state: "delivered", attempt: 1, atMs: at(5100), leg: leg(5010, 0) } as const;
    const view = await shownAfter(harness, first, held, again);
    assert.deepEqual(view.times, { laneMs: 10, limiterMs: 0, deferredMs: 4000, retryMs: 1000 });
  });

  test(`${name} ledger times: the same record again adds nothing`, async () => {
    await using harness = await openWithEvent(open);
    const records = [deferred(1000, leg(400, 600, "busy")), deferred(9000, leg(8000, 1000, "busy"))];
    const once = await shownAfter(harness, ...records);
    assert.deepEqual(once.times, { laneMs: 400, limiterMs: 1600, deferredMs: 7000, retryMs: 0 });
    const twice = await shownAfter(harness, ...records.slice(1));
    assert.deepEqual(twice.times, once.times);
  });

  test(`${name} ledger times: a record that did no work on the delivery leaves them, and nothing is waited for`, async () => {
    await using harness = await openWithEvent(open);
    const expired = { state: "expired", attempt: 0, result: null, atMs: at(2000) } as const;
    const view = await shownAfter(harness, deferred(1000, leg(400, 600, "busy")), expired);
    assert.deepEqual(view.times, { laneMs: 400, limiterMs: 600, deferredMs: 0, retryMs: 0 });
    assert.deepEqual([view.state, view.wait], ["expired", null]);
  });

  test(`${name} ledger times: they are not known when a record of an earlier release is among them`, async () => {
    await using harness = await openWithEvent(open);
    const { leg: _, ...earlier } = deferred(1000, leg(0, 0));
    assert.deepEqual((await shownAfter(harness, earlier)).times, null);
    const later = { state: "delivered", attempt: 1, atMs: at(5100), leg: leg(5010, 10) } as const;
    assert.deepEqual((await shownAfter(harness, later)).times, null);
  });
}
