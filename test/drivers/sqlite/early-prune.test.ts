/** Past the bytes of the database history makes room: what is done, of the tenant that keeps most, its oldest first. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EmbeddedHarness } from "../../contract/embedded-harness.ts";
import { openMemoryHarness } from "../../contract/embedded-harness.ts";
import { START_MS, sampleDeadLetter, sampleEnvelope, sampleRecord } from "../../support/samples.ts";

const DATABASE_BYTES_MAX = 4 * 1024 * 1024;
const BODY = new Uint8Array(4000).fill(32);

async function append(harness: EmbeddedHarness, tenant: string, count: number, name = "evt"): Promise<void> {
  const envelopes = Array.from({ length: count }, (_, index) =>
    sampleEnvelope(`${name}_${index}`, { tenant, body: BODY, acceptedAtMs: START_MS + index }),
  );
  await harness.drivers.lanes.append(envelopes);
}

/** All that waits is taken, delivered and acknowledged. */
async function deliverAll({ drivers }: EmbeddedHarness): Promise<void> {
  while ((await drivers.lanes.depth("medium")).count > 0) {
    const items = await drivers.lanes.take("medium", 500, new AbortController().signal);
    drivers.ledger.record(items.map(({ envelope }) => ({ kind: "delivery", delivery: sampleRecord(envelope) })));
    await drivers.lanes.ack(items);
  }
  await drivers.flush();
}

async function keptOf({ drivers }: EmbeddedHarness, tenant: string): Promise<string[]> {
  const kept: string[] = [];
  let cursor: string | null = null;
  do {
    const page = await drivers.ledger.events({ tenant }, 1000, cursor);
    kept.push(...page.rows.map(({ envelope }) => envelope.id));
    cursor = page.next;
  } while (cursor !== null);
  return kept;
}

function usedBytes({ raw }: EmbeddedHarness): number {
  const [pages = 0, free = 0, size = 0] = ["page_count", "freelist_count", "page_size"].map((name) =>
    Number(raw.prepare(`PRAGMA ${name}`).get()?.[name]),
  );
  return (pages - free) * size;
}

test("past the bytes of the database delivered events of the tenant that keeps most go, the oldest first", async () => {
  await using harness = await openMemoryHarness({ databaseBytesMax: DATABASE_BYTES_MAX });
  await append(harness, "small", 20);
  await append(harness, "flood", 2000);
  await deliverAll(harness);
  assert.ok(usedBytes(harness) > DATABASE_BYTES_MAX);
  await harness.clock.advance(15_000);
  await append(harness, "flood", 1, "late");
  await harness.clock.advance(61_000);
  assert.ok(usedBytes(harness) <= DATABASE_BYTES_MAX, `${usedBytes(harness)} bytes are in use`);
  assert.equal((await keptOf(harness, "small")).length, 20);
  const kept = await keptOf(harness, "flood");
  assert.ok(kept.length > 200 && kept.length < 1500, `${kept.length} events of the flood are kept`);
  assert.ok(kept.includes("evt_1999") && !kept.includes("evt_0"));
  assert.ok(kept.includes("late_0"), "what waits in a lane is never taken");
});

test("what waits or is held is never taken for room, and the run ends", async () => {
  await using harness = await openMemoryHarness({ databaseBytesMax: DATABASE_BYTES_MAX });
  await append(harness, "waiting", 1000);
  const held = Array.from({ length: 300 }, (_, index) =>
    sampleEnvelope(`held_${index}`, { tenant: "held", body: BODY }),
  );
  await harness.drivers.lanes.append(held);
  await harness.drivers.deadLetters.append(
    held.map((envelope, index) => sampleDeadLetter(`dlv_${index}`, { envelope, state: "paused" })),
  );
  await harness.clock.advance(15_000);
  await append(harness, "waiting", 1, "late");
  await harness.clock.advance(61_000);
  assert.equal((await keptOf(harness, "waiting")).length, 1001);
  assert.equal((await keptOf(harness, "held")).length, 300);
});
