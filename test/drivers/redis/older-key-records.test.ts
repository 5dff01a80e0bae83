/** API keys that earlier releases wrote, or nobody of ours did. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openRedisApiKeyStore } from "@posthaste/shared/drivers/redis/api-keys/api-keys.ts";
import { systemEntropy } from "@posthaste/shared/drivers/system.ts";
import { isDamage } from "@posthaste/shared/domain/errors.ts";
import { TENANT, sampleKey } from "../../support/samples.ts";
import { openRedisHarness } from "./harness.ts";

const open = openRedisHarness(async ({ commands, keys, clock }) => ({
  apiKeys: await openRedisApiKeyStore({
    commands,
    keys,
    clock,
    entropy: systemEntropy,
    onFault: assert.ifError,
    notifier: { subscribe: () => () => undefined },
  }),
}));

test("a record of before there were failure modes reads as local", async () => {
  await using harness = await open();
  const key = sampleKey("key_a");
  await harness.drivers.apiKeys.save(key);
  const name = harness.keys.key(harness.keys.shardOf(key.hash), `apiKey:${key.hash}`);
  const lua = `local text = redis.call('HGET', KEYS[1], 'record')
    local old, count = string.gsub(text, ',"failureMode":"local"', '')
    redis.call('HSET', KEYS[1], 'record', old) return count`;
  assert.equal(await harness.commands.run({ name: "older", lua, returns: "text" }, [name], []), 1);
  await harness.reopen();
  const found = await harness.drivers.apiKeys.find(key.hash);
  assert.deepEqual(found?.rateLimit, { limit: 1000, windowMs: 1000, failureMode: "local" });
});

for (const text of ["9007199254740991", "-1", "1.5", "x"]) {
  test(`a revocation at ${text} is no time: that key is unavailable, and the list has the others`, async () => {
    await using harness = await open();
    const { apiKeys } = harness.drivers;
    const [odd, well] = [sampleKey("key_odd"), sampleKey("key_well")];
    for (const key of [odd, well]) await apiKeys.save(key);
    const name = harness.keys.key(harness.keys.shardOf(odd.hash), `apiKey:${odd.hash}`);
    const lua = "return redis.call('HSET', KEYS[1], 'revokedAtMs', ARGV[1])";
    await harness.commands.run({ name: "by-hand", lua, returns: "text" }, [name], [text]);
    await harness.reopen();
    await assert.rejects(harness.drivers.apiKeys.find(odd.hash), isDamage);
    assert.deepEqual(
      (await harness.drivers.apiKeys.list(TENANT, 10, null)).rows.map(({ id }) => id),
      ["key_well"],
    );
  });
}
