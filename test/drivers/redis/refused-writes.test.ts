/** A Redis that answers and refuses writes is told by the health of its client, whatever its reason, and nothing is written. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { OpenedRedis } from "@posthaste/shared/drivers/redis/client/ioredis-commands.ts";
import { openRedis } from "@posthaste/shared/drivers/redis/client/ioredis-commands.ts";
import type { RedisScript } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { systemClock, systemEntropy } from "@posthaste/shared/drivers/system.ts";
import { withCode } from "../../contract/harness.ts";
import { REFUSING_CONF, redisRefusals } from "../../support/services/redis-refusals.ts";
import { startRedisCluster } from "../../support/services/redis-cluster.ts";
import { startRedis } from "../../support/services/redis.ts";
import { waitFor } from "../../support/services/wait-for.ts";
import { openActor } from "./proxy.ts";

const WRITE: RedisScript = { name: "test-write", returns: "text", lua: "return redis.call('INCR', KEYS[1])" };
const READ: RedisScript = { name: "test-read", returns: "text", lua: "return redis.call('EXISTS', KEYS[1])" };
const KEY = "{s0}health";
const WITHIN_MS = 30_000;

function open(url: string): OpenedRedis {
  return openRedis({ url, clock: systemClock, entropy: systemEntropy, time: "server", onFault: () => undefined });
}

async function untilHealth(redis: OpenedRedis, keys: readonly string[], wanted: string | null): Promise<void> {
  let last: string | null = "";
  await waitFor({
    fact: `the health ${wanted ?? "null"} of Redis`,
    withinMs: WITHIN_MS,
    async holds() {
      last = await redis.health(keys);
      return last === wanted;
    },
  }).catch((error: unknown) => assert.fail(`${String(error)}; it was ${last}`));
}

for (const { word, begin, end } of redisRefusals) {
  test(`health() says that Redis refuses writes with ${word}, and is null once it takes them`, async () => {
    await using server = await startRedis({ conf: REFUSING_CONF });
    await using redis = open(server.url);
    assert.equal(await redis.health([KEY]), null);
    await begin(server);
    assert.equal(await server.ask("EXISTS", KEY), "0");
    await untilHealth(redis, [KEY], `Redis (REDIS_URL) refuses writes (${word}).`);
    await assert.rejects(redis.run(WRITE, [KEY], []), withCode("store-unavailable"));
    // Once calls fail at once the reason is still the server's.
    await waitFor({
      fact: "calls to fail at once",
      withinMs: WITHIN_MS,
      async holds() {
        await redis.run(WRITE, [KEY], []).catch(() => undefined);
        return !redis.isReachable();
      },
    });
    assert.equal(await redis.health([KEY]), `Redis (REDIS_URL) refuses writes (${word}).`);
    await end(server);
    await untilHealth(redis, [KEY], null);
    assert.equal(await redis.run(READ, [KEY], []), 0);
  });
}

test("health() writes nothing", async () => {
  await using server = await startRedis();
  await using redis = open(server.url);
  const written = async (): Promise<string | undefined> =>
    /rdb_changes_since_last_save:\d+/.exec(await server.ask("INFO", "persistence"))?.[0];
  const before = await written();
  for (let ask = 0; ask < 3; ask++) assert.equal(await redis.health([KEY]), null);
  assert.equal(await written(), before);
  await redis.run(WRITE, [KEY], []);
  assert.notEqual(await written(), before);
});

test("of a Cluster every master is asked that serves one of the keys", async () => {
  await using cluster = await startRedisCluster();
  await using redis = open(`redis+cluster://${cluster.nodes.map(({ port }) => `127.0.0.1:${port}`).join(",")}`);
  const keys = Array.from({ length: 16 }, (_, shard) => `{s${shard}}health`);
  await untilHealth(redis, keys, null);
  const [refusing] = await cluster.masters();
  assert.ok(refusing !== undefined);
  await refusing.ask("CONFIG", "SET", "min-replicas-to-write", "2");
  await untilHealth(redis, keys, "Redis (REDIS_URL) refuses writes (NOREPLICAS).");
  const ofOthers: string[] = [];
  for (const key of keys) {
    const answer = await refusing.ask("EXISTS", key);
    if (answer.startsWith("MOVED")) ofOthers.push(key);
  }
  assert.ok(ofOthers.length > 0 && ofOthers.length < keys.length, `${ofOthers.length} of ${keys.length}`);
  await untilHealth(redis, ofOthers, null);
});

for (const { says, health } of [
  { says: "-LOADING Redis is loading the dataset in memory", health: "Redis (REDIS_URL) refuses commands (LOADING)." },
  { says: "-BUSY Redis is busy running a script", health: "Redis (REDIS_URL) refuses commands (BUSY)." },
  // As a Redis before 7.0 says it of a first line that it does not know.
  {
    says: "-ERR Error compiling script (new function): user_script:1: unexpected symbol near '#'",
    health: null,
  },
]) {
  test(`health() of a server that says ${says.slice(1, 30)} is ${health ?? "null"}`, async () => {
    await using actor = await openActor(([name]) => {
      if (name === "EVAL") return `${says}\r\n`;
      if (name === "INFO") return "$17\r\nredis_version:7.0\r\n";
      return "+OK\r\n";
    });
    await using redis = open(actor.url);
    await untilHealth(redis, [KEY], health);
  });
}
