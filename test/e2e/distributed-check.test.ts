/** `posthaste check` of the distributed set: it looks at a real Redis and Kafka, and makes nothing there. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import kafkajs from "kafkajs";
import { freePort } from "../support/services/free-ports.ts";
import { startRedis } from "../support/services/redis.ts";
import { prefixEnv, storesEnv } from "./distributed-harness.ts";
import { spawnPosthaste } from "./posthaste-child.ts";

interface Row {
  readonly level: string;
  readonly about: string;
  readonly what: string;
  readonly remedy: string | null;
}

const PREFIX = `t${randomBytes(6).toString("hex")}`;

async function check(env: Readonly<Record<string, string>>) {
  const own = { ...storesEnv(), ...prefixEnv(PREFIX), POSTHASTE_MASTER_KEY: randomBytes(32).toString("base64") };
  await using child = spawnPosthaste(["check", "--json"], { ...own, PORT: "0", ...env });
  const { code } = await child.exited;
  const rows = child.printed.stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Row);
  return { code, rows, wrong: rows.filter(({ level }) => level === "wrong"), text: child.printed.stdout };
}

test("stores that fit are fine, with what weakens them, and no topic was made", async () => {
  const { code, rows, wrong } = await check({});
  assert.deepEqual([code, wrong], [0, []]);
  const about = (name: string): string => rows.flatMap((row) => (row.about === name ? row.what : [])).join(" ");
  assert.match(about("REDIS_URL"), /answers, and deletes nothing.*appendfsync everysec/);
  assert.match(about("KAFKA_BROKERS"), /answers with one broker; \d+ topics are made at the next start/);
  assert.match(about("clock"), /agrees with that of Redis/);
  const admin = new kafkajs.Kafka({ brokers: storesEnv().KAFKA_BROKERS.split(",") }).admin();
  await admin.connect();
  const topics = await admin.listTopics();
  await admin.disconnect();
  assert.deepEqual(
    topics.filter((topic) => topic.startsWith(PREFIX)),
    [],
  );
});

test("a Redis that evicts, one that refuses the login, and a Kafka that is not there are wrong", async () => {
  await using evicting = await startRedis({ conf: ["maxmemory 100mb", "maxmemory-policy allkeys-lru"] });
  const evicts = await check({ REDIS_URL: evicting.url, KAFKA_BROKERS: `127.0.0.1:${await freePort()}` });
  assert.equal(evicts.code, 1);
  assert.deepEqual(
    evicts.wrong.map(({ about }) => about),
    ["REDIS_URL", "KAFKA_BROKERS"],
  );
  assert.match(evicts.wrong[0]?.remedy ?? "", /Set maxmemory-policy noeviction/);
  await using locked = await startRedis({ password: "the-right-one" });
  const { code, wrong, text } = await check({ REDIS_URL: `redis://:the-wrong-one@127.0.0.1:${locked.port}` });
  assert.deepEqual([code, wrong.map(({ about }) => about)], [1, ["REDIS_URL"]]);
  assert.doesNotMatch(text, /the-wrong-one|the-right-one/);
});
