/** Wrong settings of the distributed set end the program with a sentence that names the setting and what to do. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import kafkajs from "kafkajs";
import { startRedis } from "../support/services/redis.ts";
import { freePort } from "../support/services/free-ports.ts";
import { waitFor } from "../support/services/wait-for.ts";
import { complaintOf } from "./complaint.ts";
import { openDistributedHarness, prefixEnv, storesEnv } from "./distributed-harness.ts";

const READY_MS = 30_000;

function stores(): Record<string, string> {
  return { ...storesEnv(), ...prefixEnv(`t${randomBytes(6).toString("hex")}`) };
}

test("with neither store both programs say what they need, and what needs nothing", async () => {
  const complaint = await complaintOf({});
  assert.match(complaint, /REDIS_URL and KAFKA_BROKERS are not set/);
  assert.match(complaint, /npm run services/);
  assert.match(complaint, /npm start/);
});

test("with one store the missing one is named", async () => {
  const { REDIS_URL, KAFKA_BROKERS } = storesEnv();
  assert.match(await complaintOf({ REDIS_URL }), /^KAFKA_BROKERS is missing/);
  assert.match(await complaintOf({ KAFKA_BROKERS }), /^REDIS_URL is missing/);
});

test("a wrong password of Redis is named without repeating it", async () => {
  await using redis = await startRedis({ password: "the-right-one" });
  const complaint = await complaintOf({ ...stores(), REDIS_URL: `redis://:the-wrong-one@127.0.0.1:${redis.port}` });
  assert.match(complaint, /REDIS_URL/);
  assert.match(complaint, /password/i);
  assert.doesNotMatch(complaint, /the-wrong-one|the-right-one/);
});

test("a Redis and a Kafka that are not there are named", async () => {
  const port = await freePort();
  assert.match(await complaintOf({ ...stores(), REDIS_URL: `redis://127.0.0.1:${port}` }), /REDIS_URL/);
  assert.match(await complaintOf({ ...stores(), KAFKA_BROKERS: `127.0.0.1:${port}` }), /KAFKA_BROKERS/);
});

test("a Redis that evicts is refused, with the remedy", async () => {
  await using redis = await startRedis({ conf: ["maxmemory 100mb", "maxmemory-policy allkeys-lru"] });
  const complaint = await complaintOf({ ...stores(), REDIS_URL: redis.url });
  assert.match(complaint, /REDIS_URL/);
  assert.match(complaint, /maxmemory-policy/);
  assert.match(complaint, /noeviction/);
});

test("a topic with too few partitions is named, with the ways out", async () => {
  const env = stores();
  const kafka = new kafkajs.Kafka({ brokers: [env["KAFKA_BROKERS"] ?? ""], logLevel: kafkajs.logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  try {
    const topic = `${env["KAFKA_PREFIX"]}medium`;
    // kafkajs waits for leaders by asking for the topic at once, and fails when the broker it asks has not heard of it.
    await admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: false });
    await waitFor({
      fact: "the topic to be there",
      withinMs: READY_MS,
      holds: async () => {
        const there = await admin.fetchTopicMetadata({ topics: [topic] }).catch(() => null);
        return there?.topics[0]?.partitions.length === 1;
      },
    });
    const complaint = await complaintOf(env);
    assert.ok(complaint.includes(`topic ${topic} has 1 partitions, 3 are wanted`), complaint);
    assert.match(complaint, /KAFKA_PARTITIONS=1/);
    const made = (await admin.listTopics()).filter((name) => name.startsWith(env["KAFKA_PREFIX"] ?? ""));
    await admin.deleteTopics({ topics: made });
  } finally {
    await admin.disconnect();
  }
});

test("a cache Redis that is not there is named as such", async () => {
  const port = await freePort();
  const complaint = await complaintOf({ ...stores(), REDIS_CACHE_URL: `redis://127.0.0.1:${port}` });
  assert.match(complaint, /REDIS_CACHE_URL/);
});

test("a processor says on /readyz what it waits for, and both programs end on SIGTERM", async () => {
  await using harness = await openDistributedHarness({ gateways: 1, processors: 1 });
  for (const program of [...harness.gateways, ...harness.processors]) {
    // Topics are new: a reader whose partition has no leader yet begins once more, and says so meanwhile.
    await waitFor({
      fact: "the program to be ready",
      withinMs: READY_MS,
      holds: async () => (await fetch(`${program.url}/readyz`)).status === 200,
    });
    assert.deepEqual(await program.end("SIGTERM"), { code: 0, signal: null });
  }
});

test("another master key than that of the programs before is named, with the ways out", async () => {
  await using harness = await openDistributedHarness({ gateways: 1, processors: 0 });
  const complaint = await complaintOf({ ...storesEnv(), ...prefixEnv(harness.prefix) });
  assert.match(complaint, /POSTHASTE_MASTER_KEY is not the key/);
  assert.match(complaint, /same key/);
});

test("another number of shards than that of the programs before is named, with the ways out", async () => {
  await using harness = await openDistributedHarness({ gateways: 1, processors: 0 });
  const complaint = await complaintOf({ ...storesEnv(), ...prefixEnv(harness.prefix), REDIS_SHARDS: "4" });
  assert.match(complaint, /^REDIS_SHARDS is 4, .* divided by 1: .* Set REDIS_SHARDS=1 .*REDIS_PREFIX\.$/);
});
