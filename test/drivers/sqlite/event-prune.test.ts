/** Retention that costs an accept nothing: where it comes to each event, whatever became of the clock, the process and the version. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { openEmbedded } from "@posthaste/shared/drivers/embedded.ts";
import { PRUNE_ROWS_MAX } from "@posthaste/shared/drivers/sqlite/event-prune.ts";
import { migrate } from "@posthaste/shared/drivers/sqlite/migrations.ts";
import { SCHEMA_STEPS } from "@posthaste/shared/drivers/sqlite/schema.ts";
import { createSealer, systemEntropy, systemHasher } from "@posthaste/shared/drivers/system.ts";
import type { EmbeddedHarness } from "../../contract/embedded-harness.ts";
import { MASTER_KEY, openMemoryHarness } from "../../contract/embedded-harness.ts";
import { takeDue, takeSome } from "../../contract/harness.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { START_MS, TENANT, sampleEnvelope, sampleScheduled } from "../../support/samples.ts";

const DAY_MS = 24 * 3600_000;
const HOUR_MS = 3600_000;

/** Accepted now, and done with its lane. */
async function passThrough(harness: EmbeddedHarness, ...ids: readonly string[]): Promise<void> {
  const acceptedAtMs = harness.clock.now();
  await harness.drivers.lanes.append(ids.map((id) => sampleEnvelope(id, { acceptedAtMs })));
  await harness.drivers.lanes.ack(await takeSome(harness, "medium", 1000));
}

function idsIn({ raw }: EmbeddedHarness): readonly unknown[] {
  return raw
    .prepare("SELECT event_id FROM events ORDER BY event_id")
    .all()
    .map(({ event_id: id }) => id);
}

function laterRows({ raw }: EmbeddedHarness): readonly unknown[] {
  return raw.prepare("SELECT at, event FROM prune_later ORDER BY at, event").all();
}

function laterCount(harness: EmbeddedHarness): number {
  return laterRows(harness).length;
}

test("an event that was accepted long ago, and is written again, goes a day later although all its time were looked at", async () => {
  await using harness = await openMemoryHarness();
  await passThrough(harness, "evt_a");
  await harness.clock.advance(2 * DAY_MS);
  assert.deepEqual(idsIn(harness), []);
  const old = sampleEnvelope("evt_old", { acceptedAtMs: START_MS - HOUR_MS });
  await harness.drivers.retryQueue.schedule([sampleScheduled([old], { notBeforeMs: harness.clock.now() })]);
  await harness.drivers.retryQueue.ack(await takeDue(harness));
  await harness.clock.advance(DAY_MS - 1000);
  assert.deepEqual(idsIn(harness), ["evt_old"]);
  await harness.clock.advance(600_000);
  assert.deepEqual([idsIn(harness), laterCount(harness)], [[], 0]);
});

test("what was accepted after the clock was set back goes a day later", async () => {
  await using harness = await openMemoryHarness();
  await passThrough(harness, "evt_a");
  await harness.clock.advance(3 * DAY_MS);
  harness.clock.stepWall(-5 * DAY_MS);
  await passThrough(harness, "evt_b");
  await harness.clock.advance(DAY_MS - HOUR_MS);
  assert.deepEqual(idsIn(harness), ["evt_b"]);
  await harness.clock.advance(2 * HOUR_MS);
  assert.deepEqual(idsIn(harness), []);
});

test("events that stay are passed over after a start, however many, and go when nothing needs them", async () => {
  await using harness = await openMemoryHarness();
  const held = Array.from({ length: PRUNE_ROWS_MAX + 20 }, (_, index) => `evt_held_${index}`);
  await harness.drivers.lanes.append(held.map((id) => sampleEnvelope(id)));
  await harness.clock.advance(DAY_MS + 120_000);
  assert.equal(laterCount(harness), held.length);
  await harness.drivers.lanes.append([sampleEnvelope("evt_young", { acceptedAtMs: harness.clock.now() })]);
  const waiting = laterRows(harness);
  await harness.reopen();
  await harness.clock.advance(120_000);
  assert.deepEqual(laterRows(harness), waiting);
  const items = await takeSome(harness, "medium", 1000);
  await harness.drivers.lanes.ack(items.filter(({ envelope }) => envelope.id === "evt_young"));
  await harness.clock.advance(DAY_MS + HOUR_MS);
  assert.equal(idsIn(harness).length, held.length);
  assert.equal(laterCount(harness), held.length);
  await harness.drivers.lanes.ack(items.filter(({ envelope }) => envelope.id !== "evt_young"));
  await harness.clock.advance(2 * HOUR_MS);
  assert.deepEqual([idsIn(harness), laterCount(harness)], [[], 0]);
});

test("a time that stands for an event that went before it is forgotten", async () => {
  await using harness = await openMemoryHarness();
  await passThrough(harness, "evt_a");
  harness.raw.exec(`INSERT INTO prune_later VALUES (${START_MS + 1}, 77), (${START_MS + 2}, 1)`);
  await harness.clock.advance(120_000);
  assert.deepEqual([idsIn(harness), laterCount(harness)], [["evt_a"], 0]);
});

test("events of the version before are kept a day, and go", async () => {
  const raw = new DatabaseSync(":memory:");
  migrate(raw, SCHEMA_STEPS.slice(0, 15));
  const insert = raw.prepare(
    `INSERT INTO events VALUES (?, '${TENANT}', ?, 'a', 'LOW', ?, NULL, NULL, 1, 1, ?, x'00', NULL)`,
  );
  insert.run(1, "evt_due", START_MS - DAY_MS - 1, START_MS - 1);
  insert.run(2, "evt_young", START_MS - HOUR_MS, START_MS - HOUR_MS + DAY_MS);
  insert.run(3, "evt_held", START_MS - 3 * DAY_MS, START_MS + HOUR_MS);
  raw.exec(`INSERT INTO lane_items VALUES (2, '${TENANT}', 0, 3, 1)`);
  const clock = createManualClock(START_MS);
  const sealer = createSealer(MASTER_KEY);
  await using drivers = openEmbedded({
    clock,
    entropy: systemEntropy,
    hasher: systemHasher,
    sealer,
    database: raw,
  });
  const kept = async (...ids: readonly string[]): Promise<readonly boolean[]> =>
    Promise.all(ids.map(async (id) => (await drivers.ledger.event(TENANT, id)) !== null));
  await clock.advance(120_000);
  assert.deepEqual(await kept("evt_due", "evt_young", "evt_held"), [false, true, true]);
  await clock.advance(DAY_MS);
  assert.deepEqual(await kept("evt_young", "evt_held"), [false, true]);
});
