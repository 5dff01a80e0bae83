/** What every implementation of the port `key-ring` promises. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { OpenHarness } from "./harness.ts";
import { readAll, withCode } from "./harness.ts";
import { START_MS, TENANT, sampleKey } from "../support/samples.ts";

export function apiKeysContract(name: string, open: OpenHarness): void {
  test(`${name} API-key store: find() gives back every field, also after a crash`, async () => {
    await using harness = await open();
    const key = sampleKey("key_a", { expiresAtMs: START_MS + 1000 });
    const operator = sampleKey("key_op", { tenant: null, rateLimit: null, scopes: ["publish", "manage", "read"] });
    await harness.drivers.apiKeys.save(key);
    await harness.drivers.apiKeys.save(operator);
    assert.deepEqual(await harness.drivers.apiKeys.find(key.hash), key);
    await harness.reopen();
    assert.deepEqual(await harness.drivers.apiKeys.find(key.hash), key);
    assert.deepEqual(await harness.drivers.apiKeys.find(operator.hash), operator);
  });

  test(`${name} API-key store: each failure mode of a rate limit is kept, also after a crash`, async () => {
    await using harness = await open();
    const keys = (["local", "closed", "open"] as const).flatMap((failureMode) => [
      sampleKey(`key_${failureMode}`, { rateLimit: { limit: 5, windowMs: 1000, failureMode } }),
      sampleKey(`key_${failureMode}_loose`, {
        rateLimit: { limit: 5, windowMs: 1000, failureMode, policy: "approximate" },
      }),
    ]);
    for (const key of keys) await harness.drivers.apiKeys.save(key);
    await harness.reopen();
    for (const key of keys) assert.deepEqual(await harness.drivers.apiKeys.find(key.hash), key);
  });

  test(`${name} API-key store: find() is null for a hash that was never saved`, async () => {
    await using harness = await open();
    assert.equal(await harness.drivers.apiKeys.find("unknown"), null);
  });

  test(`${name} API-key store: a key that was looked for before it was saved is found after`, async () => {
    await using harness = await open();
    const key = sampleKey("key_a");
    await harness.drivers.apiKeys.find(key.hash);
    await harness.drivers.apiKeys.save(key);
    await harness.clock.advance(1000);
    assert.deepEqual(await harness.drivers.apiKeys.find(key.hash), key);
  });

  test(`${name} API-key store: saving the same hash again replaces the record`, async () => {
    await using harness = await open();
    await harness.drivers.apiKeys.save(sampleKey("key_a"));
    const changed = sampleKey("key_a", { name: "billing", scopes: ["read"] });
    await harness.drivers.apiKeys.save(changed);
    assert.deepEqual(await harness.drivers.apiKeys.find(changed.hash), changed);
    assert.deepEqual((await harness.drivers.apiKeys.list(TENANT, 10, null)).rows, [changed]);
  });

  test(`${name} API-key store: a revocation is seen at once, durable, and returned`, async () => {
    await using harness = await open();
    const key = sampleKey("key_a");
    await harness.drivers.apiKeys.save(key);
    const revoked = { ...key, revokedAtMs: START_MS + 5 };
    assert.deepEqual(await harness.drivers.apiKeys.revoke(TENANT, "key_a", START_MS + 5), revoked);
    await harness.clock.advance(1000);
    assert.deepEqual(await harness.drivers.apiKeys.find(key.hash), revoked);
    await harness.reopen();
    assert.deepEqual(await harness.drivers.apiKeys.find(key.hash), revoked);
  });

  test(`${name} API-key store: revoking twice keeps the first time`, async () => {
    await using harness = await open();
    await harness.drivers.apiKeys.save(sampleKey("key_a"));
    await harness.drivers.apiKeys.revoke(TENANT, "key_a", START_MS + 5);
    const again = await harness.drivers.apiKeys.revoke(TENANT, "key_a", START_MS + 900);
    assert.equal(again?.revokedAtMs, START_MS + 5);
  });

  test(`${name} API-key store: a tenant revokes its own keys alone, the operator any`, async () => {
    await using harness = await open();
    const { apiKeys } = harness.drivers;
    await apiKeys.save(sampleKey("key_a"));
    await apiKeys.save(sampleKey("key_op", { tenant: null }));
    assert.equal(await apiKeys.revoke("globex", "key_a", START_MS), null);
    assert.equal(await apiKeys.revoke(TENANT, "key_op", START_MS), null);
    assert.equal(await apiKeys.revoke(TENANT, "key_none", START_MS), null);
    assert.equal((await apiKeys.find(sampleKey("key_a").hash))?.revokedAtMs, null);
    assert.equal((await apiKeys.revoke(null, "key_a", START_MS))?.revokedAtMs, START_MS);
  });

  test(`${name} API-key store: list() is newest first, with revoked keys, in pages without gap or repeat`, async () => {
    await using harness = await open();
    const waits = [10, 30, 20, 20, 20];
    for (const [index, wait] of waits.entries()) {
      await harness.drivers.apiKeys.save(sampleKey(`key_${index}`, { createdAtMs: START_MS + wait }));
    }
    await harness.drivers.apiKeys.revoke(TENANT, "key_1", START_MS + 50);
    const pages = await readAll((cursor) => harness.drivers.apiKeys.list(TENANT, 2, cursor));
    assert.deepEqual(
      pages.map((page) => page.length),
      [2, 2, 1],
    );
    assert.deepEqual(
      pages.flat().map(({ createdAtMs }) => createdAtMs - START_MS),
      [30, 20, 20, 20, 10],
    );
    assert.equal(new Set(pages.flat().map(({ id }) => id)).size, 5);
    assert.equal(pages[0]?.[0]?.revokedAtMs, START_MS + 50);
  });

  test(`${name} API-key store: list() of a tenant shows its own keys, list() of all those of operators too`, async () => {
    await using harness = await open();
    await harness.drivers.apiKeys.save(sampleKey("key_a"));
    await harness.drivers.apiKeys.save(sampleKey("key_b", { tenant: "globex" }));
    await harness.drivers.apiKeys.save(sampleKey("key_op", { tenant: null }));
    const ids = async (tenant: string | null) =>
      (await harness.drivers.apiKeys.list(tenant, 10, null)).rows.map(({ id }) => id).toSorted();
    assert.deepEqual([await ids(TENANT), await ids(null)], [["key_a"], ["key_a", "key_b", "key_op"]]);
    await assert.rejects(harness.drivers.apiKeys.list(null, 10, "nonsense"), withCode("invalid-cursor"));
  });

  test(`${name} API-key store: past the bound save() throws limit-reached, and a revocation makes room`, async () => {
    await using harness = await open({ apiKeysMax: 2 });
    const { apiKeys } = harness.drivers;
    await apiKeys.save(sampleKey("key_a"));
    await apiKeys.save(sampleKey("key_b"));
    await assert.rejects(apiKeys.save(sampleKey("key_c")), withCode("limit-reached"));
    await apiKeys.save(sampleKey("key_b", { name: "renamed at the bound" }));
    await apiKeys.save(sampleKey("key_d", { tenant: "globex" }));
    await apiKeys.revoke(TENANT, "key_a", START_MS);
    await apiKeys.save(sampleKey("key_c"));
    assert.ok(await apiKeys.find(sampleKey("key_c").hash));
  });

  test(`${name} API-key store: a key that has expired counts as little as a revoked one`, async () => {
    await using harness = await open({ apiKeysMax: 2 });
    const { apiKeys } = harness.drivers;
    await apiKeys.save(sampleKey("key_a", { expiresAtMs: START_MS + 60_000 }));
    await apiKeys.save(sampleKey("key_b"));
    await assert.rejects(apiKeys.save(sampleKey("key_c")), withCode("limit-reached"));
    await harness.clock.advance(60_000);
    await apiKeys.save(sampleKey("key_c"));
    await assert.rejects(apiKeys.save(sampleKey("key_d")), withCode("limit-reached"));
    assert.equal((await apiKeys.list(TENANT, 10, null)).rows.length, 3);
  });

  test(`${name} API-key store: of a tenant's ended keys the longest ended are forgotten, expired or revoked`, async () => {
    await using harness = await open({ apiKeysMax: 3 });
    const { apiKeys } = harness.drivers;
    const kept = async () => (await apiKeys.list(TENANT, 100, null)).rows.map(({ id }) => id).toSorted();
    for (const index of [1, 2, 3, 4, 5]) {
      await apiKeys.save(sampleKey(`key_${index}`, { expiresAtMs: START_MS + 1000 * index }));
      await harness.clock.advance(1000);
    }
    assert.deepEqual(await kept(), ["key_2", "key_3", "key_4", "key_5"]);
    await apiKeys.save(sampleKey("key_6"));
    assert.deepEqual(await kept(), ["key_3", "key_4", "key_5", "key_6"]);
    await harness.clock.advance(1000);
    await apiKeys.revoke(TENANT, "key_6", harness.clock.now());
    await apiKeys.save(sampleKey("key_7"));
    assert.deepEqual(await kept(), ["key_4", "key_5", "key_6", "key_7"]);
    assert.equal(await apiKeys.revoke(null, "key_3", harness.clock.now()), null);
    await harness.clock.advance(1000);
    assert.equal(await apiKeys.find(sampleKey("key_3").hash), null);
  });

  test(`${name} API-key store: tenants that are gone leave a bounded number of ended keys, operators' stay`, async () => {
    const endedMax = 4;
    await using harness = await open({ apiKeysEndedMax: endedMax });
    const { apiKeys } = harness.drivers;
    await apiKeys.save(sampleKey("key_op", { tenant: null }));
    await apiKeys.revoke(null, "key_op", harness.clock.now());
    for (let index = 0; index < 40; index++) {
      const tenant = `gone-${index}`;
      const expiresAtMs = index % 2 === 0 ? harness.clock.now() + 1000 : null;
      await apiKeys.save(sampleKey(`key_${index}`, { tenant, expiresAtMs }));
      await harness.clock.advance(1000);
      if (expiresAtMs === null) await apiKeys.revoke(tenant, `key_${index}`, harness.clock.now());
    }
    const { rows } = await apiKeys.list(null, 100, null);
    // The bound is that of each shard, of which the suites have up to five; what ended since its last change is there as well.
    assert.ok(rows.length <= 5 * (endedMax + 1) + 2, String(rows.length));
    assert.ok(rows.some(({ id }) => id === "key_op"));
    assert.ok(rows.some(({ id }) => id === "key_39"));
  });
}
