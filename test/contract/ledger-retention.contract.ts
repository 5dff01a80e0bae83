/** How long the port `ledger` keeps what it knows. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { AttemptResult } from "@posthaste/shared/domain/attempt.ts";
import type { DeliveryRecord, LedgerEntry } from "@posthaste/shared/ports/ledger.ts";
import type { Harness, OpenHarness } from "./harness.ts";
import { takeDue, takeSome } from "./harness.ts";
import {
  ENDPOINT_ID,
  START_MS,
  TENANT,
  sampleDeadLetter,
  sampleEnvelope,
  sampleRecord,
  sampleScheduled,
} from "../support/samples.ts";

const DAY_MS = 24 * 3600_000;
const FAILED: AttemptResult = {
  kind: "fault",
  fault: "timeout",
  detail: "no answer within 15000 ms",
  durationMs: 15_000,
};

const delivery = (record: DeliveryRecord): LedgerEntry => ({ kind: "delivery", delivery: record });

/** Appends, takes and acknowledges, as for an event that is done with its lane. */
async function passThrough(harness: Harness, id: string, acceptedAtMs = harness.clock.now()) {
  const envelope = sampleEnvelope(id, { acceptedAtMs });
  await harness.drivers.lanes.append([envelope]);
  await harness.drivers.lanes.ack(await takeSome(harness, "medium"));
  return envelope;
}

export function ledgerRetentionContract(name: string, open: OpenHarness): void {
  test(`${name} ledger: a delivered event is kept for 24 h and gone soon after, with its deliveries and attempts`, async () => {
    await using harness = await open();
    const envelope = await passThrough(harness, "evt_a");
    harness.drivers.ledger.record([delivery(sampleRecord(envelope, { atMs: START_MS }))]);
    await harness.clock.advance(DAY_MS - 1000);
    assert.ok(await harness.drivers.ledger.event(TENANT, "evt_a"));
    await harness.clock.advance(600_000);
    assert.equal(await harness.drivers.ledger.event(TENANT, "evt_a"), null);
    assert.deepEqual(
      (await harness.drivers.ledger.deliveries({ tenant: TENANT, endpointId: ENDPOINT_ID }, 10, null)).rows,
      [],
    );
    assert.deepEqual(
      (await harness.drivers.ledger.attempts({ tenant: TENANT, endpointId: ENDPOINT_ID }, 10, null)).rows,
      [],
    );
  });

  test(`${name} ledger: an event is kept until its last delivery ended and 24 h more`, async () => {
    await using harness = await open();
    const envelope = await passThrough(harness, "evt_a");
    harness.drivers.ledger.record([delivery(sampleRecord(envelope, { state: "retrying", result: FAILED }))]);
    const notBeforeMs = START_MS + 3 * DAY_MS;
    await harness.drivers.retryQueue.schedule([sampleScheduled([envelope], { notBeforeMs })]);
    await harness.clock.advance(3 * DAY_MS);
    const items = await takeDue(harness);
    harness.drivers.ledger.record([delivery(sampleRecord(envelope, { attempt: 2, atMs: harness.clock.now() }))]);
    await harness.drivers.retryQueue.ack(items);
    await harness.clock.advance(DAY_MS - 1000);
    assert.ok(await harness.drivers.ledger.event(TENANT, "evt_a"));
    await harness.clock.advance(2 * 3600_000);
    assert.equal(await harness.drivers.ledger.event(TENANT, "evt_a"), null);
  });

  test(`${name} ledger: an event that still waits in a lane is kept, however long`, async () => {
    await using harness = await open();
    await harness.drivers.lanes.append([sampleEnvelope("evt_a")]);
    await harness.clock.advance(3 * DAY_MS);
    assert.ok(await harness.drivers.ledger.event(TENANT, "evt_a"));
    assert.equal((await takeSome(harness, "medium"))[0]?.envelope.id, "evt_a");
  });

  test(`${name} ledger: an event that a paused endpoint still owes is kept until its dead letter is gone`, async () => {
    await using harness = await open();
    const envelope = await passThrough(harness, "evt_a");
    harness.drivers.ledger.record([delivery(sampleRecord(envelope, { state: "paused", attempt: 0, result: null }))]);
    const deadLetter = sampleDeadLetter("dlv_a", { state: "paused", envelope });
    await harness.drivers.deadLetters.append([deadLetter]);
    await harness.clock.advance(3 * DAY_MS);
    assert.ok(await harness.drivers.ledger.event(TENANT, "evt_a"));
    await harness.drivers.deadLetters.remove([deadLetter]);
    await harness.clock.advance(2 * 3600_000);
    assert.equal(await harness.drivers.ledger.event(TENANT, "evt_a"), null);
  });

  test(`${name} ledger: a held delivery that was ended by hand is dead with its reason, and its event goes a day later`, async () => {
    await using harness = await open();
    const { ledger, deadLetters } = harness.drivers;
    const envelope = await passThrough(harness, "evt_a");
    const held = sampleDeadLetter("dlv_a", { envelope, state: "paused", attempts: 0 });
    const standing = { attempt: 0, result: null, nextAttemptAtMs: null };
    ledger.record([delivery(sampleRecord(envelope, { ...standing, state: "paused", reason: "paused" }))]);
    await deadLetters.append([held]);
    await deadLetters.remove([held]);
    const reason = "its dead letter was deleted";
    ledger.record([delivery(sampleRecord(envelope, { ...standing, state: "dead", reason }))]);
    const { rows } = await ledger.deliveries({ tenant: TENANT, eventId: "evt_a" }, 10, null);
    assert.deepEqual(
      rows.map((row) => [row.state, row.reason]),
      [["dead", reason]],
    );
    await harness.clock.advance(DAY_MS + 2 * 3600_000);
    assert.equal(await ledger.event(TENANT, "evt_a"), null);
  });

  test(`${name} ledger: an event id may be used again once the event is gone`, async () => {
    await using harness = await open();
    await passThrough(harness, "evt_a");
    await harness.clock.advance(DAY_MS + 600_000);
    const again = sampleEnvelope("evt_a", { acceptedAtMs: harness.clock.now(), body: new Uint8Array([1, 2]) });
    await harness.drivers.lanes.append([again]);
    assert.deepEqual((await takeSome(harness, "medium"))[0]?.envelope, again);
  });
}
