/** What every driver set promises as a whole. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { OpenHarness } from "./harness.ts";
import {
  TENANT,
  sampleEndpoint,
  sampleEnvelope,
  sampleKey,
  sampleRecord,
  sampleScheduled,
} from "../support/samples.ts";

export function driversContract(name: string, open: OpenHarness): void {
  test(`${name} drivers: health() is null while every store can be written`, async () => {
    await using harness = await open();
    assert.equal(await harness.drivers.health(), null);
    await harness.drivers.lanes.append([sampleEnvelope("evt_a")]);
    assert.equal(await harness.drivers.health(), null);
  });

  test(`${name} drivers: flush() makes everything recorded before it durable`, async () => {
    await using harness = await open();
    const envelope = sampleEnvelope("evt_a");
    await harness.drivers.lanes.append([envelope]);
    const entries = Array.from({ length: 100 }, (_, index) => ({
      kind: "delivery" as const,
      delivery: sampleRecord(envelope, { endpointId: `ep_${index}` }),
    }));
    for (const entry of entries) harness.drivers.ledger.record([entry]);
    await harness.drivers.flush();
    await harness.reopen();
    const { rows } = await harness.drivers.ledger.deliveries({ tenant: TENANT, eventId: envelope.id }, 1000, null);
    assert.equal(rows.length, 100);
  });

  test(`${name} drivers: flush() with nothing to write resolves`, async () => {
    await using harness = await open();
    await harness.drivers.flush();
    assert.equal(await harness.drivers.health(), null);
  });

  test(`${name} drivers: calls of one turn on several stores are all kept, in their order`, async () => {
    await using harness = await open();
    const { lanes, directory, apiKeys, retryQueue, claims } = harness.drivers;
    const claimed = await Promise.all([
      claims.claim({ tenant: TENANT, key: "key:a", fingerprint: "aa", eventIds: ["evt_a"], acceptedAtMs: 0 }),
      lanes.append([sampleEnvelope("evt_a")]),
      directory.create(sampleEndpoint("ep_a")),
      directory.update(TENANT, "ep_a", (endpoint) => ({ ...endpoint, status: "paused" })),
      apiKeys.save(sampleKey("key_a")),
      apiKeys.revoke(TENANT, "key_a", 5),
      retryQueue.schedule([sampleScheduled([sampleEnvelope("evt_b")])]),
    ]);
    assert.deepEqual([claimed[3]?.status, claimed[5]?.revokedAtMs], ["paused", 5]);
    await harness.reopen();
    assert.equal((await harness.drivers.lanes.depth("medium")).count, 1);
    assert.equal((await harness.drivers.retryQueue.depth()).count, 1);
    assert.equal((await harness.drivers.directory.find(TENANT, "ep_a"))?.status, "paused");
    assert.equal((await harness.drivers.apiKeys.find(sampleKey("key_a").hash))?.revokedAtMs, 5);
  });

  test(`${name} drivers: a refused call of a turn takes none of the others with it`, async () => {
    await using harness = await open({ endpointsMax: 1 });
    const { lanes, directory } = harness.drivers;
    const results = await Promise.allSettled([
      lanes.append([sampleEnvelope("evt_a")]),
      directory.create(sampleEndpoint("ep_a")),
      directory.create(sampleEndpoint("ep_b")),
      lanes.append([sampleEnvelope("evt_b")]),
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ["fulfilled", "fulfilled", "rejected", "fulfilled"],
    );
    await harness.reopen();
    assert.equal((await harness.drivers.lanes.depth("medium")).count, 2);
    assert.equal(await harness.drivers.directory.find(TENANT, "ep_b"), null);
  });
}
