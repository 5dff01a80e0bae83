/** The API-key store in Redis: its contract, what is trusted for how long, and a Redis that is away. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { openRedisApiKeyStore } from "@posthaste/shared/drivers/redis/api-keys/api-keys.ts";
import {
  ABSENT_KEYS_MAX,
  createApiKeyCache,
  KEY_STALE_MS_MAX,
  KEY_TRUSTED_MS,
  KNOWN_KEYS_MAX,
} from "@posthaste/shared/drivers/redis/api-keys/cache.ts";
import { systemEntropy } from "@posthaste/shared/drivers/system.ts";
import type { Notifier } from "@posthaste/shared/ports/notifier.ts";
import type { ApiKeyStore } from "@posthaste/shared/ports/api-keys.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { readAll, withCode } from "../../contract/harness.ts";
import { apiKeysContract } from "../../contract/api-keys.contract.ts";
import type { RedisHarness, RedisProcess } from "./harness.ts";
import { openRedisHarness } from "./harness.ts";
import { createSwitchedCommands } from "./switch.ts";
import { START_MS, TENANT, sampleKey } from "../../support/samples.ts";

const silent: Pick<Notifier, "subscribe"> = { subscribe: () => () => undefined };
const ambient = { entropy: systemEntropy, onFault: assert.ifError, notifier: silent };
const openDrivers = async ({ commands, keys, clock, bounds }: RedisProcess) => ({
  apiKeys: await openRedisApiKeyStore({
    ...ambient,
    commands,
    keys,
    clock,
    keysMax: bounds.apiKeysMax ?? 1000,
    endedMax: bounds.apiKeysEndedMax ?? 10_000,
  }),
});
const open = openRedisHarness(openDrivers);
const openSharded = openRedisHarness(openDrivers, { shards: 5 });

apiKeysContract("redis", open);
apiKeysContract("redis with 5 shards", openSharded);

/** A gateway of its own on the harness's Redis. */
async function openProcess(harness: RedisHarness, keysMax = 1000) {
  const clock = createManualClock(START_MS);
  const line = createSwitchedCommands(harness.commands);
  const hits: boolean[] = [];
  const faults: unknown[] = [];
  const apiKeys = await openRedisApiKeyStore({
    entropy: systemEntropy,
    notifier: silent,
    onFault: (error) => void faults.push(error),
    commands: line.commands,
    keys: harness.keys,
    clock,
    keysMax,
    onCache: (isHit) => void hits.push(isHit),
  });
  return { ...line, clock, apiKeys, hits, faults };
}

const key = sampleKey("key_a");
const isUnavailable = withCode("store-unavailable");

/** As a caller awaits it. */
async function find(apiKeys: ApiKeyStore, hash = key.hash) {
  return await apiKeys.find(hash);
}

test("a revocation by one gateway is seen by another within 1 s", async () => {
  await using harness = await open();
  const [first, second] = [await openProcess(harness), await openProcess(harness)];
  await first.apiKeys.save(key);
  assert.equal((await find(second.apiKeys))?.revokedAtMs, null);
  await first.apiKeys.revoke(TENANT, key.id, START_MS);
  await second.clock.advance(KEY_TRUSTED_MS - 1);
  assert.equal((await find(second.apiKeys))?.revokedAtMs, null, "trusted until then");
  await second.clock.advance(1);
  assert.equal((await find(second.apiKeys))?.revokedAtMs, START_MS);
});

test("the second of trust counts from before the question, however long Redis took", async () => {
  await using harness = await open();
  const process = await openProcess(harness);
  await (await openProcess(harness)).apiKeys.save(key);
  const asked = process.apiKeys.find(key.hash);
  await process.clock.advance(KEY_TRUSTED_MS);
  await asked;
  await process.apiKeys.find(key.hash);
  assert.deepEqual(process.hits, [false, false]);
});

test("a question that Redis leaves open for 1 s is not shared by later ones", async () => {
  await using harness = await open();
  const process = await openProcess(harness);
  const held: (() => void)[] = [];
  const run: typeof harness.commands.run = async (script, keys, args) => {
    const reply = await harness.commands.run(script, keys, args);
    if (script.name === "key-read" && held.length === 0) await new Promise<void>((resolve) => held.push(resolve));
    return reply;
  };
  const slow = await openRedisApiKeyStore({
    ...ambient,
    commands: { ...harness.commands, run },
    keys: harness.keys,
    clock: process.clock,
  });
  await process.apiKeys.save(key);
  const [before, beside] = [find(slow), find(slow)];
  while (held.length === 0) await process.quiet();
  await process.apiKeys.revoke(null, key.id, START_MS);
  await process.clock.advance(KEY_TRUSTED_MS);
  assert.equal((await find(slow))?.revokedAtMs, START_MS);
  held[0]?.();
  assert.deepEqual(await Promise.all([before, beside]), [key, key]);
  assert.equal((await find(slow))?.revokedAtMs, START_MS, "the late answer is not kept");
});

test("find() asks Redis nothing while it is trusted, and each find tells whether it was", async () => {
  await using harness = await open();
  await (await openProcess(harness)).apiKeys.save(key);
  const process = await openProcess(harness);
  await find(process.apiKeys);
  assert.deepEqual(await process.apiKeys.find(key.hash), key);
  assert.deepEqual(process.scripts, ["key-epoch", "key-read"]);
  await process.clock.advance(KEY_TRUSTED_MS);
  await find(process.apiKeys);
  assert.deepEqual(process.hits, [false, true, false]);
});

test("many who look for one key at once ask Redis once", async () => {
  await using harness = await open();
  await (await openProcess(harness)).apiKeys.save(key);
  const process = await openProcess(harness);
  await Promise.all(Array.from({ length: 100 }, () => find(process.apiKeys)));
  assert.deepEqual(process.scripts, ["key-epoch", "key-read"]);
});

test("a key that is not there is absent for 1 s, and found after it", async () => {
  await using harness = await open();
  const [first, second] = [await openProcess(harness), await openProcess(harness)];
  assert.equal(await find(second.apiKeys), null);
  await first.apiKeys.save(key);
  await second.clock.advance(KEY_TRUSTED_MS - 1);
  assert.equal(await second.apiKeys.find(key.hash), null);
  await second.clock.advance(1);
  assert.deepEqual(await find(second.apiKeys), key);
});

test("a look-up that was under way while its key was saved or revoked is not kept", async () => {
  await using harness = await open();
  const process = await openProcess(harness);
  const answers: Promise<unknown>[] = [];
  const lookAside = (): void => void answers.push(find(process.apiKeys));
  lookAside();
  await process.apiKeys.save(key);
  await process.clock.advance(KEY_TRUSTED_MS);
  lookAside();
  await process.apiKeys.revoke(null, key.id, START_MS);
  await Promise.all(answers);
  const known = await process.apiKeys.find(key.hash);
  assert.equal(known?.revokedAtMs, START_MS);
  assert.equal(process.hits.at(-1), true);
});

test("while Redis is away a known key is used for 10 min and no longer", async () => {
  await using harness = await open();
  const process = await openProcess(harness);
  await process.apiKeys.save(key);
  process.setAway(true);
  await process.clock.advance(KEY_STALE_MS_MAX - 1);
  assert.deepEqual(await find(process.apiKeys), key);
  await process.clock.advance(1);
  await assert.rejects(find(process.apiKeys), isUnavailable);
  process.setAway(false);
  assert.deepEqual(await find(process.apiKeys), key);
});

test("while Redis is away a known key is asked for once a second, not for each request", async () => {
  await using harness = await open();
  const process = await openProcess(harness);
  await process.apiKeys.save(key);
  process.setAway(true);
  await process.clock.advance(KEY_TRUSTED_MS);
  const asked = process.scripts.length;
  for (let count = 0; count < 50; count++) await find(process.apiKeys);
  assert.equal(process.scripts.length - asked, 1);
});

test("while Redis is away an unknown key throws store-unavailable, also one that was absent before", async () => {
  await using harness = await open();
  const process = await openProcess(harness);
  assert.equal(await find(process.apiKeys, "absent"), null);
  process.setAway(true);
  await process.clock.advance(KEY_TRUSTED_MS);
  await assert.rejects(find(process.apiKeys, "absent"), isUnavailable);
  await assert.rejects(find(process.apiKeys, "unknown"), isUnavailable);
  await assert.rejects(process.apiKeys.save(key), isUnavailable);
});

test("a revoked key is refused while Redis is away, when the revocation was seen", async () => {
  await using harness = await open();
  const process = await openProcess(harness);
  await process.apiKeys.save(key);
  await process.apiKeys.revoke(null, key.id, START_MS);
  process.setAway(true);
  await process.clock.advance(60_000);
  assert.equal((await find(process.apiKeys))?.revokedAtMs, START_MS);
});

test("an error that is not the store's absence never falls back on the cache", async () => {
  await using harness = await open();
  const clock = createManualClock(START_MS);
  let broken: Error | null = null;
  const commands: typeof harness.commands = {
    ...harness.commands,
    run: (script, keys, args) => (broken === null ? harness.commands.run(script, keys, args) : Promise.reject(broken)),
  };
  const apiKeys = await openRedisApiKeyStore({ ...ambient, commands, keys: harness.keys, clock });
  await apiKeys.save(key);
  broken = new PosthasteError("internal", "a script that is wrong");
  await clock.advance(KEY_TRUSTED_MS);
  await assert.rejects(find(apiKeys), withCode("internal"));
});

test("the bound holds for keys saved at the same time, over the shards", async () => {
  await using harness = await openSharded();
  const rings = [await openProcess(harness, 3), await openProcess(harness, 3)].map(({ apiKeys }) => apiKeys);
  const saves = rings.flatMap((apiKeys, ring) =>
    Array.from({ length: 4 }, (_, index) => apiKeys.save(sampleKey(`key_${ring}_${index}`))),
  );
  const results = await Promise.allSettled(saves);
  assert.equal(results.filter(({ status }) => status === "fulfilled").length, 3);
  assert.equal((await rings[0]?.list(TENANT, 10, null))?.rows.length, 3);
});

test("of revoked keys the longest revoked fall past the bound, and are unknown then, whatever the gateway's clock", async () => {
  await using harness = await openSharded();
  const process = await openProcess(harness, 2);
  for (let index = 0; index < 4; index++) {
    await process.apiKeys.save(sampleKey(`key_${index}`));
    await process.apiKeys.revoke(TENANT, `key_${index}`, START_MS + index);
  }
  const { rows } = await process.apiKeys.list(null, 10, null);
  assert.deepEqual(
    rows.map(({ id }) => id),
    ["key_3", "key_2"],
  );
  assert.equal(await find(process.apiKeys, sampleKey("key_0").hash), null);
  assert.equal(await process.apiKeys.revoke(null, "key_0", START_MS), null);
});

test("a hash that is saved for another tenant, or under another id, leaves the old lists", async () => {
  await using harness = await openSharded();
  const { apiKeys } = await openProcess(harness);
  await apiKeys.save(key);
  const moved = { ...key, tenant: "globex", id: "key_moved" };
  await apiKeys.save(moved);
  assert.deepEqual((await apiKeys.list(TENANT, 10, null)).rows, []);
  assert.deepEqual((await apiKeys.list(null, 10, null)).rows, [moved]);
  assert.equal(await apiKeys.revoke(null, key.id, START_MS), null);
  assert.equal((await apiKeys.revoke("globex", "key_moved", START_MS))?.revokedAtMs, START_MS);
});

test("keys of all tenants and shards come in one order, newest first", async () => {
  await using harness = await openSharded();
  const { apiKeys } = await openProcess(harness);
  for (let index = 0; index < 12; index++) {
    await apiKeys.save(sampleKey(`key_${index}`, { tenant: `t${index % 4}`, createdAtMs: START_MS + index }));
  }
  const pages = await readAll((cursor) => apiKeys.list(null, 5, cursor));
  assert.deepEqual(
    pages.flat().map(({ createdAtMs }) => createdAtMs - START_MS),
    Array.from({ length: 12 }, (_, index) => 11 - index),
  );
});

test("the cache holds at most 10,000 entries, and guessing at keys pushes out no known one", () => {
  assert.equal(KNOWN_KEYS_MAX + ABSENT_KEYS_MAX, 10_000);
  const cache = createApiKeyCache(createManualClock(START_MS));
  cache.keep(key.hash, { key, revision: 1 }, 0);
  for (let count = 0; count < 20_000; count++) cache.keep(`guess-${count}`, null, 0);
  assert.deepEqual(cache.trusted(key.hash)?.key, key);
  assert.equal(cache.size, 1 + ABSENT_KEYS_MAX);
  for (let count = 0; count < 20_000; count++) cache.keep(`known-${count}`, { key, revision: 1 }, 0);
  assert.equal(cache.size, 10_000);
  assert.equal(cache.trusted(key.hash), null);
});

/** Deletes all that lies under the prefix, as FLUSHALL would. */
async function flush({ commands, keys }: RedisHarness): Promise<void> {
  const lua = "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end return 'ok'";
  await commands.run({ name: "flush", lua, returns: "text" }, [], [`${keys.channel("")}*`]);
}

test("keys that a process knows survive a Redis that lost them, with their lists, for all processes", async () => {
  await using harness = await open();
  const [first, second] = [await openProcess(harness), await openProcess(harness)];
  const unused = sampleKey("key_of_settings");
  const revoked = sampleKey("key_revoked");
  for (const each of [key, unused, revoked]) await first.apiKeys.save(each);
  await first.apiKeys.revoke(null, revoked.id, START_MS);
  await find(first.apiKeys);
  await flush(harness);
  await first.clock.advance(KEY_TRUSTED_MS);
  assert.deepEqual(await find(first.apiKeys), key);
  assert.equal(first.faults.length, 1);
  assert.deepEqual(await find(second.apiKeys, unused.hash), unused);
  assert.equal((await find(second.apiKeys, revoked.hash))?.revokedAtMs, START_MS);
  const { rows } = await second.apiKeys.list(null, 10, null);
  assert.equal(rows.length, 3);
  assert.equal((await second.apiKeys.revoke(null, unused.id, START_MS))?.revokedAtMs, START_MS);
});

test("what another process wrote back, and changed since, is not overwritten", async () => {
  await using harness = await open();
  const [first, second] = [await openProcess(harness), await openProcess(harness)];
  await first.apiKeys.save(key);
  await find(first.apiKeys);
  await find(second.apiKeys);
  await flush(harness);
  for (const { clock } of [first, second]) await clock.advance(KEY_TRUSTED_MS);
  await find(first.apiKeys);
  await first.apiKeys.revoke(null, key.id, START_MS);
  assert.equal((await find(second.apiKeys))?.revokedAtMs, START_MS);
});

test("after a loss an unknown key is not refused but unavailable, on every process, for a day", async () => {
  await using harness = await open();
  // One of them had not looked at any key before.
  const [first, idle] = [await openProcess(harness), await openProcess(harness)];
  await first.apiKeys.save(key);
  await flush(harness);
  await assert.rejects(find(idle.apiKeys, "hash-of-another"), isUnavailable);
  await assert.rejects(find(first.apiKeys, "hash-of-another"), isUnavailable);
  const started = await openProcess(harness);
  await assert.rejects(find(started.apiKeys, "hash-of-another"), isUnavailable);
  await started.apiKeys.save(sampleKey("key_made_again"));
  assert.ok((await find(started.apiKeys, sampleKey("key_made_again").hash)) !== null);
});

test("before any loss an unknown key is none", async () => {
  await using harness = await open();
  assert.equal(await find((await openProcess(harness)).apiKeys), null);
});

/** Puts the record of a key back as it was, as a replica does that is promoted without the last changes. */
async function withOlderRecord(harness: RedisHarness, change: () => Promise<unknown>): Promise<void> {
  const name = harness.keys.key(harness.keys.shardOf(key.hash), `apiKey:${key.hash}`);
  const all = { name: "all", lua: "return redis.call('HGETALL', KEYS[1])", returns: "text" } as const;
  const before = (await harness.commands.run(all, [name], [])) as string[];
  await change();
  const lua = "redis.call('DEL', KEYS[1]) if #ARGV > 0 then redis.call('HSET', KEYS[1], unpack(ARGV)) end return 'ok'";
  await harness.commands.run({ name: "put-back", lua, returns: "text" }, [name], before);
}

test("a revocation that Redis lost is written back by whoever knows it, for all processes", async () => {
  await using harness = await open();
  const [first, second] = [await openProcess(harness), await openProcess(harness)];
  await first.apiKeys.save(key);
  await withOlderRecord(harness, () => first.apiKeys.revoke(TENANT, key.id, START_MS));
  assert.equal((await find(second.apiKeys))?.revokedAtMs, null, "nobody can know yet");
  await first.clock.advance(KEY_TRUSTED_MS);
  assert.equal((await find(first.apiKeys))?.revokedAtMs, START_MS);
  assert.equal(first.faults.length, 1);
  await second.clock.advance(KEY_TRUSTED_MS);
  assert.equal((await find(second.apiKeys))?.revokedAtMs, START_MS);
});

test("who revoked a key looks at it again by itself, for ten minutes, and then no more", async () => {
  await using harness = await open();
  const process = await openProcess(harness);
  await process.apiKeys.save(key);
  await withOlderRecord(harness, () => process.apiKeys.revoke(TENANT, key.id, START_MS));
  await process.clock.advance(30_000);
  await process.quiet();
  assert.equal((await find((await openProcess(harness)).apiKeys))?.revokedAtMs, START_MS);
  for (let minute = 0; minute < 10; minute++) {
    await process.clock.advance(60_000);
    await process.quiet();
  }
  const reads = process.scripts.length;
  await process.clock.advance(3_600_000);
  await process.quiet();
  assert.equal(process.scripts.length, reads);
});

test("a key that was made and is gone is written back, and a replaced one is not taken for an older state", async () => {
  await using harness = await open();
  const [first, second] = [await openProcess(harness), await openProcess(harness)];
  await withOlderRecord(harness, () => first.apiKeys.save(key));
  await first.clock.advance(KEY_TRUSTED_MS);
  assert.deepEqual(await find(first.apiKeys), key);
  assert.deepEqual(await find(second.apiKeys), key);
  await first.apiKeys.revoke(TENANT, key.id, START_MS);
  await second.apiKeys.save({ ...key, name: "valid again" });
  await first.clock.advance(KEY_TRUSTED_MS);
  assert.equal((await find(first.apiKeys))?.name, "valid again");
  assert.equal((await find(first.apiKeys))?.revokedAtMs, null);
});
