/** API keys that earlier releases wrote. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openRedisApiKeyStore } from "@posthaste/shared/drivers/redis/api-keys/api-keys.ts";
import { systemEntropy } from "@posthaste/shared/drivers/system.ts";
import { sampleKey } from "../../support/samples.ts";
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
