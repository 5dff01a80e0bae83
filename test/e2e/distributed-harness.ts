/** Gateways and processors as real processes on the run's Redis and Kafka, apart from all others by a prefix. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Redis } from "ioredis";
import { repairKafkajs } from "@posthaste/shared/drivers/kafka/repairs.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import kafkajs from "kafkajs";
import type { Constellation } from "posthaste/constellation.ts";
import { openConstellation } from "posthaste/constellation.ts";
import type { Command } from "posthaste/program.ts";
import type { Answer } from "./posthaste-child.ts";
import { call } from "./posthaste-child.ts";

export interface DistributedHarness extends Constellation {
  /** Of all topics and keys. */
  readonly prefix: string;
  /** Asks gateway `index` with the operator's key, or another. */
  ask(index: number, path: string, body?: unknown, key?: string): Promise<Answer>;
}

export interface DistributedHarnessOptions {
  readonly gateways: number;
  readonly processors: number;
  /** Beside the stores and the prefix; may name other stores. */
  readonly env?: Readonly<Record<string, string>>;
  /** Of gateways that another runtime runs. */
  readonly gatewayCommand?: Command;
}

const GRACE_MS = 15_000;
// As the driver does, for the tests' own use of kafkajs.
repairKafkajs(systemClock);

/** Disposing ends the programs in order, then removes their topics and keys. */
export async function openDistributedHarness(options: DistributedHarnessOptions): Promise<DistributedHarness> {
  const prefix = `t${randomBytes(6).toString("hex")}`;
  const env = { ...storesEnv(), ...prefixEnv(prefix), LOG_LEVEL: "info", ...options.env };
  await using opening = new AsyncDisposableStack();
  opening.defer(() => removeTopics(env.KAFKA_BROKERS, env.KAFKA_PREFIX));
  opening.defer(() => removeKeys(env.REDIS_URL, env.REDIS_PREFIX));
  const constellation = opening.use(await openConstellation({ ...options, env, graceMs: GRACE_MS }));
  const opened = opening.move();
  return {
    ...constellation,
    prefix,
    ask: (index, path, body, key = constellation.operatorKey) =>
      call(constellation.gateways[index]?.url ?? "", path, body, key),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** Ends the processor that has lived longest, and starts another in its place. */
export async function killProcessor(harness: DistributedHarness): Promise<void> {
  const [victim] = harness.processors.splice(0, 1);
  assert.ok(victim !== undefined);
  assert.equal((await victim.end("SIGKILL")).signal, "SIGKILL");
  await harness.add("processor");
}

/** What `npm test` gives to every suite. */
export function storesEnv(): { readonly REDIS_URL: string; readonly KAFKA_BROKERS: string } {
  const { REDIS_URL: redis = "", KAFKA_BROKERS: kafka = "" } = process.env;
  if (redis === "" || kafka === "") {
    throw new Error(
      "REDIS_URL and KAFKA_BROKERS are not set: `npm test` starts both, or `npm run services` prints them",
    );
  }
  return { REDIS_URL: redis, KAFKA_BROKERS: kafka };
}

/** Few partitions: they cost a start time, and two processors share three. */
export function prefixEnv(prefix: string) {
  return { KAFKA_PREFIX: `${prefix}.`, REDIS_PREFIX: `${prefix}:`, KAFKA_PARTITIONS: "3" };
}

/** On a Redis of a test's own there is nothing to tidy. */
async function removeKeys(url: string, prefix: string): Promise<void> {
  if (url !== storesEnv().REDIS_URL) return;
  const redis = new Redis(url);
  try {
    for await (const page of redis.scanStream({ match: `${prefix}*`, count: 1000 })) {
      const keys = page as string[];
      if (keys.length > 0) await redis.unlink(...keys);
    }
  } finally {
    redis.disconnect();
  }
}

/** On a Kafka of a test's own there is nothing to tidy. */
async function removeTopics(brokers: string, prefix: string): Promise<void> {
  if (brokers !== storesEnv().KAFKA_BROKERS) return;
  const kafka = new kafkajs.Kafka({ brokers: brokers.split(","), logLevel: kafkajs.logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  try {
    const topics = (await admin.listTopics()).filter((topic) => topic.startsWith(prefix));
    if (topics.length > 0) await admin.deleteTopics({ topics });
  } finally {
    await admin.disconnect();
  }
}
