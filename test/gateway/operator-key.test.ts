/** The operator's key: made once and shown once, or taken from the setting; what was replaced stops working. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ensureOperatorKey } from "@posthaste/gateway/resources/operator-key.ts";
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";
import { hashApiKey, keyStatus } from "@posthaste/shared/domain/api-key.ts";
import type { ApiKeyStore } from "@posthaste/shared/ports/api-keys.ts";
import { openMemoryHarness } from "../contract/embedded-harness.ts";
import { seededEntropy, testHasher } from "../support/ambient.ts";
import { sampleKey } from "../support/samples.ts";

async function openStart() {
  const harness = await openMemoryHarness();
  const { clock, drivers } = harness;
  const shown: string[] = [];
  const deps = { apiKeys: drivers.apiKeys, clock, entropy: seededEntropy(1), hasher: testHasher };
  return {
    clock,
    shown,
    apiKeys: drivers.apiKeys,
    start: (setting: string | null, apiKeys: ApiKeyStore = deps.apiKeys) =>
      ensureOperatorKey({ ...deps, apiKeys }, setting, (key) => void shown.push(key)),
    async find(secret: string): Promise<ApiKey> {
      const key = await drivers.apiKeys.find(hashApiKey(secret, testHasher));
      assert.ok(key !== null);
      return key;
    },
    status: async (secret: string) => {
      const key = await drivers.apiKeys.find(hashApiKey(secret, testHasher));
      return key === null ? "unknown" : keyStatus(key, clock.now());
    },
    [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose](),
  };
}

const SETTING = `ph_${"a".repeat(40)}`;
const OTHER_SETTING = `ph_${"b".repeat(40)}`;

test("the first start makes a key, shows it and stores only its hash; the next one shows nothing", async () => {
  await using world = await openStart();
  const key = await world.start(null);
  assert.ok(key !== null);
  assert.deepEqual(world.shown, [key]);
  assert.equal(await world.status(key), "usable");
  const stored = await world.find(key);
  assert.equal(stored.tenant, null);
  assert.ok(!JSON.stringify(stored).includes(key));
  assert.equal(await world.start(null), null);
  assert.equal(world.shown.length, 1);
});

test("a crash between showing and saving leaves a key that does not work, and the next start shows another", async () => {
  await using world = await openStart();
  const crashing: ApiKeyStore = { ...world.apiKeys, save: () => Promise.reject(new Error("killed")) };
  await assert.rejects(world.start(null, crashing), { message: "killed" });
  const [lost] = world.shown;
  assert.ok(lost !== undefined);
  assert.equal(await world.status(lost), "unknown");
  const key = await world.start(null);
  assert.ok(key !== null && key !== lost);
  assert.deepEqual(world.shown, [lost, key]);
  assert.equal(await world.status(key), "usable");
});

test("the key of the settings works, is never shown, and is one record however often it is started with", async () => {
  await using world = await openStart();
  const createdAtMs = world.clock.now();
  assert.equal(await world.start(SETTING), SETTING);
  await world.clock.advance(1000);
  assert.equal(await world.start(SETTING), SETTING);
  assert.deepEqual(world.shown, []);
  assert.equal(await world.status(SETTING), "usable");
  assert.equal((await world.find(SETTING)).createdAtMs, createdAtMs);
  assert.equal((await world.apiKeys.list(null, 10, null)).rows.length, 1);
});

test("a changed setting revokes the key it had before, and no other", async () => {
  await using world = await openStart();
  const first = await world.start(null);
  assert.ok(first !== null);
  await world.start(SETTING);
  await world.start(OTHER_SETTING);
  assert.equal(await world.status(SETTING), "revoked");
  assert.equal(await world.status(OTHER_SETTING), "usable");
  assert.equal(await world.status(first), "usable");
});

test("a setting that returns to an earlier key makes that one work again", async () => {
  await using world = await openStart();
  await world.start(SETTING);
  await world.start(OTHER_SETTING);
  await world.start(SETTING);
  assert.deepEqual([await world.status(SETTING), await world.status(OTHER_SETTING)], ["usable", "revoked"]);
});

test("keys of tenants are no operator's: the first start still makes one", async () => {
  await using world = await openStart();
  await world.apiKeys.save(sampleKey("key_tenant", { tenant: "acme" }));
  assert.notEqual(await world.start(null), null);
});

test("a key of the settings that was revoked through the API does not come back at the next start", async () => {
  await using world = await openStart();
  await world.start(SETTING);
  await world.apiKeys.revoke(null, (await world.find(SETTING)).id, world.clock.now());
  await assert.rejects(world.start(SETTING), /POSTHASTE_OPERATOR_KEY is a key that was revoked/);
  assert.equal(await world.status(SETTING), "revoked");
});

test("two gateways that start at once without a setting both show a key, and both work", async () => {
  await using world = await openStart();
  const late: ApiKeyStore = { ...world.apiKeys, list: () => Promise.resolve({ rows: [], next: null }) };
  const first = await world.start(null);
  // It looked before the first one had saved its key, and saves after it.
  const second = await world.start(null, { ...late, list: listOnce(late, world.apiKeys) });
  assert.ok(first !== null && second !== null && first !== second);
  assert.deepEqual([await world.status(first), await world.status(second)], ["usable", "usable"]);
});

/** The first look finds nothing yet, later ones what is there. */
function listOnce(empty: ApiKeyStore, full: ApiKeyStore): ApiKeyStore["list"] {
  let looks = 0;
  return (...args) => (looks++ === 0 ? empty : full).list(...args);
}
