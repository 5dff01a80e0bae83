/**
 * Stores that hang: they take connections and bytes, and never answer. A process that is told to end does so all the same and
 * says what it could not finish; one that cannot start says so and ends.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Kafka } from "../support/services/kafka.ts";
import { startKafka } from "../support/services/kafka.ts";
import type { RedisServer } from "../support/services/redis.ts";
import { startRedis } from "../support/services/redis.ts";
import { waitFor } from "../support/services/wait-for.ts";
import { openDistributedHarness } from "./distributed-harness.ts";

interface Stores {
  readonly kafka: Kafka;
  readonly redis: RedisServer;
}

const freezeKafka = ({ kafka }: Stores): void => kafka.nodes.forEach((node) => node.freeze());
const freezeRedis = ({ redis }: Stores): void => redis.freeze();

const cases = [
  { frozen: "Kafka", freeze: [freezeKafka] },
  { frozen: "Redis", freeze: [freezeRedis] },
  { frozen: "Kafka and Redis", freeze: [freezeKafka, freezeRedis] },
] as const;

for (const { frozen, freeze } of cases) {
  test(`one SIGTERM ends gateway and processor while ${frozen} hangs, and what is unfinished is named`, async () => {
    await using kafka = await startKafka({ brokers: 1 });
    await using redis = await startRedis();
    const stores = { kafka, redis };
    const env = { KAFKA_BROKERS: kafka.brokers, REDIS_URL: redis.url };
    await using harness = await openDistributedHarness({ gateways: 1, processors: 1, env });
    // Nobody listens there, so that each event has a retry to write.
    assert.equal((await harness.ask(0, "/v1/endpoints", { url: "http://127.0.0.1:9/" })).status, 201);
    for (const step of freeze) step(stores);
    const publish = (priority: string) =>
      harness.ask(0, "/v1/events", { type: "a.b", priority, data: {} }).catch(() => undefined);
    const asked = ["HIGH", "MEDIUM", "LOW"].flatMap((priority) => Array.from({ length: 20 }, () => publish(priority)));
    const programs = [...harness.gateways, ...harness.processors];
    for (const program of programs) {
      const isTold = (): boolean => program.printed().includes('"event":"store.away"');
      await waitFor({ fact: "the store to be told as away", withinMs: 60_000, holds: isTold });
    }
    for (const { pid } of programs) process.kill(pid, "SIGTERM");
    for (const program of programs) {
      const { code, signal } = await program.ended;
      const printed = program.printed();
      // Killed by nobody, and not by its own last bound either, which is for what nobody thought of.
      assert.ok(signal === null && (code === 0 || code === 1), printed);
      assert.doesNotMatch(printed, /Not stopped after/);
      // A gateway without both stores has refused all that it was asked, and with Redis alone away nothing need be unfinished.
      const holdsWork = frozen !== "Redis" && harness.processors.includes(program);
      if (code === 1 || holdsWork) assert.match(printed, /"event":"stop\.unfinished","what":"[^"]+/);
    }
    await Promise.all(asked);
    kafka.nodes.forEach((node) => node.thaw());
    redis.thaw();
  });
}
