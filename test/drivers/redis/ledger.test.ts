/** The ledger in Redis: its contracts, its lists over shards, and that it says the same as the embedded one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeliveryState } from "@posthaste/shared/domain/delivery.ts";
import { LOOKED_MAX, PARTS_MAX } from "@posthaste/shared/drivers/redis/ledger/pages.ts";
import { openMemoryHarness } from "../../contract/embedded-harness.ts";
import { readAll } from "../../contract/harness.ts";
import { ledgerContract } from "../../contract/ledger.contract.ts";
import { ledgerListsContract } from "../../contract/ledger-lists.contract.ts";
import { ledgerTimesContract } from "../../contract/ledger-times.contract.ts";
import { ledgerRetentionContract } from "../../contract/ledger-retention.contract.ts";
import { FAILED, delivery, openLedgerHarness } from "./ledger-harness.ts";
import { START_MS, TENANT, sampleEnvelope, sampleRecord } from "../../support/samples.ts";

const open = openLedgerHarness();

ledgerContract("redis", open);
ledgerContract("redis with 3 shards", openLedgerHarness({ shards: 3 }));
ledgerListsContract("redis with 3 shards", openLedgerHarness({ shards: 3 }));
ledgerListsContract("redis", open);
ledgerRetentionContract("redis", open);
ledgerTimesContract("redis", open);

test("redis ledger: an operator reads the events of all shards newest first, without gap or repeat", async () => {
  await using harness = await openLedgerHarness({ shards: 4 })();
  const envelopes = Array.from({ length: 60 }, (_, at) =>
    sampleEnvelope(`evt_${at}`, { tenant: `tenant_${at % 7}`, acceptedAtMs: START_MS + Math.floor((at * 7) % 20) }),
  );
  assert.ok(new Set(envelopes.map(({ tenant }) => harness.keys.shardOf(tenant))).size > 1);
  await harness.ledger.remember(envelopes);
  const pages = await readAll((cursor) => harness.ledger.events({ tenant: null }, 7, cursor));
  assert.deepEqual(
    pages.map(({ length }) => length),
    [7, 7, 7, 7, 7, 7, 7, 7, 4],
  );
  const times = pages.flat().map(({ envelope }) => envelope.acceptedAtMs);
  assert.deepEqual(
    times,
    times.toSorted((a, b) => b - a),
  );
  assert.equal(new Set(pages.flat().map(({ envelope }) => envelope.id)).size, 60);
});

test("redis ledger: a filter that few rows pass gives short pages with a cursor, and in the end all rows", async () => {
  await using harness = await open();
  const count = LOOKED_MAX * PARTS_MAX + 1000;
  const body = new Uint8Array([0x7b]);
  await harness.ledger.remember(
    Array.from({ length: count }, (_, at) =>
      sampleEnvelope(`evt_${at}`, { acceptedAtMs: START_MS + at, type: at === 0 ? "rare.one" : "order.paid", body }),
    ),
  );
  const pages = await readAll((cursor) => harness.ledger.events({ tenant: TENANT, type: "rare.one" }, 5, cursor));
  assert.deepEqual(
    pages.map((page) => page.map(({ envelope }) => envelope.id)),
    [[], ["evt_0"]],
  );
});

test("redis ledger: it says the same as the embedded one of whatever was recorded", async () => {
  await using harness = await open();
  await using embedded = await openMemoryHarness();
  const envelopes = [0, 1, 2].map((at) => sampleEnvelope(`evt_${at}`, { acceptedAtMs: START_MS + at }));
  await embedded.drivers.lanes.append(envelopes);
  await harness.ledger.remember(envelopes);
  const states = ["pending", "retrying", "retrying", "delivered", "dead", "paused", "backlog", "expired"] as const;
  let seed = 20_260_131;
  const below = (limit: number): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * limit);
  };
  for (let step = 1; step <= 400; step++) {
    const envelope = envelopes[below(3)];
    const state: DeliveryState | undefined = states[below(step % 3 === 0 ? states.length : 3)];
    assert.ok(envelope && state);
    const record = sampleRecord(envelope, {
      endpointId: `ep_${below(3)}`,
      generation: below(4) * 1000,
      state,
      attempt: below(6),
      atMs: START_MS + step,
      result: below(3) === 0 ? null : FAILED,
      reason: `step ${step}`,
    });
    for (const ledger of [harness.ledger, embedded.drivers.ledger]) ledger.record([delivery(record)]);
    const { tenant, eventId, endpointId, generation } = record;
    const key = { tenant, eventId, endpointId, generation, acceptedAtMs: envelope.acceptedAtMs };
    const asked = below(6);
    const answers = [harness.ledger, embedded.drivers.ledger].map((ledger) => ledger.isCompleted(key, asked));
    const [mine, theirs] = await Promise.all(answers);
    assert.equal(mine, theirs, `step ${step}`);
  }
  const sorted = (row: object) => Object.entries(row).toSorted(([left], [right]) => (left < right ? -1 : 1));
  const order = (rows: readonly object[]) => rows.map((row) => JSON.stringify(sorted(row))).toSorted();
  for (const eventId of ["evt_0", "evt_1", "evt_2"]) {
    const filter = { tenant: TENANT, eventId };
    const [mine, theirs] = [harness.ledger, embedded.drivers.ledger];
    const deliveries = order((await mine.deliveries(filter, 1000, null)).rows);
    assert.deepEqual(deliveries, order((await theirs.deliveries(filter, 1000, null)).rows));
    const attempts = (await mine.attempts(filter, 1000, null)).rows;
    assert.deepEqual(attempts, (await theirs.attempts(filter, 1000, null)).rows);
  }
});
