import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigError } from "@posthaste/shared/domain/config.ts";
import { parseDistributed } from "@posthaste/shared/domain/distributed-config.ts";

const WHOLE = {
  REDIS_URL: "redis://127.0.0.1:6379",
  KAFKA_BROKERS: "127.0.0.1:9092",
  POSTHASTE_MASTER_KEY: "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
};

/** The problems that the settings have, each on a line. */
function problems(settings: Record<string, string>): readonly string[] {
  try {
    parseDistributed(settings);
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems;
  }
}

test("without Redis and Kafka there is no distributed set, and empty variables count as not set", () => {
  assert.equal(parseDistributed({}), null);
  assert.equal(parseDistributed({ REDIS_URL: "", KAFKA_BROKERS: "" }), null);
});

test("only one of the two is an error that names the other", () => {
  const { KAFKA_BROKERS, REDIS_URL } = WHOLE;
  assert.match(problems({ REDIS_URL })[0] ?? "", /^KAFKA_BROKERS is missing/);
  assert.match(problems({ KAFKA_BROKERS })[0] ?? "", /^REDIS_URL is missing/);
  assert.match(problems({ KAFKA_BROKERS, REDIS_URL: "" })[0] ?? "", /^REDIS_URL is missing/);
});

test("all gateways of a deployment are those of one program, unless there are more", () => {
  assert.equal(parseDistributed({ ...WHOLE, GATEWAY_PROCESSES: "4" })?.gatewayCount, 4);
  assert.equal(parseDistributed({ ...WHOLE, GATEWAY_PROCESSES: "4", GATEWAY_COUNT: "8" })?.gatewayCount, 8);
});

test("the master key is needed, and the error says how to make one", () => {
  const { KAFKA_BROKERS, REDIS_URL } = WHOLE;
  assert.match(problems({ KAFKA_BROKERS, REDIS_URL })[0] ?? "", /^POSTHASTE_MASTER_KEY .*openssl rand/);
});

test("defaults: one gateway, one processor, one broker's worth of replication, six partitions, eight days", () => {
  assert.deepEqual(parseDistributed(WHOLE), {
    redisUrl: WHOLE.REDIS_URL,
    redisCacheUrl: null,
    redisShards: null,
    redisPrefix: "",
    spoolBytesMax: 512 * 1024 ** 2,
    gatewayCount: 1,
    processorCount: 1,
    kafka: {
      brokers: ["127.0.0.1:9092"],
      isTls: false,
      sasl: null,
      prefix: "posthaste.",
      partitions: 6,
      replication: 1,
      minInSync: 1,
      retentionMs: 8 * 24 * 3600 * 1000,
    },
  });
});

test("all settings are read", () => {
  const config = parseDistributed({
    ...WHOLE,
    REDIS_CACHE_URL: "redis://cache:6379",
    REDIS_SHARDS: "16",
    REDIS_SPOOL_MIB: "64",
    GATEWAY_COUNT: "3",
    PROCESSOR_COUNT: "5",
    KAFKA_BROKERS: "a:9092, b:9093,[::1]:9094",
    KAFKA_TLS: "true",
    KAFKA_SASL_MECHANISM: "scram-sha-512",
    KAFKA_SASL_USERNAME: "me",
    KAFKA_SASL_PASSWORD: "secret",
    KAFKA_PREFIX: "eu.",
    KAFKA_PARTITIONS: "12",
    KAFKA_REPLICATION: "3",
    KAFKA_RETENTION_DAYS: "30",
  });
  assert.deepEqual(config?.kafka.brokers, ["a:9092", "b:9093", "[::1]:9094"]);
  assert.deepEqual([config?.redisCacheUrl, config?.redisShards], ["redis://cache:6379", 16]);
  assert.equal(config?.spoolBytesMax, 64 * 1024 ** 2);
  assert.deepEqual([config?.gatewayCount, config?.processorCount], [3, 5]);
  assert.deepEqual(config?.kafka.sasl, { mechanism: "scram-sha-512", username: "me", password: "secret" });
  assert.deepEqual([config?.kafka.isTls, config?.kafka.prefix, config?.kafka.partitions], [true, "eu.", 12]);
  assert.deepEqual([config?.kafka.replication, config?.kafka.minInSync], [3, 2]);
});

const wrong: readonly (readonly [Record<string, string>, RegExp])[] = [
  [{ KAFKA_BROKERS: "localhost" }, /^KAFKA_BROKERS .*host:port/],
  [{ KAFKA_BROKERS: "kafka:9092,kafka:99999" }, /^KAFKA_BROKERS .*host:port/],
  [{ KAFKA_BROKERS: "kafka:0" }, /^KAFKA_BROKERS .*host:port/],
  [{ KAFKA_BROKERS: "a:9092,,b:9092" }, /^KAFKA_BROKERS /],
  [{ KAFKA_SASL_PASSWORD: "hunter2" }, /^KAFKA_SASL_MECHANISM, .*all three/],
  [{ KAFKA_SASL_MECHANISM: "gssapi" }, /^KAFKA_SASL_MECHANISM must be plain/],
  [{ KAFKA_TLS: "yes" }, /^KAFKA_TLS must be true or false/],
  [{ KAFKA_PARTITIONS: "0" }, /^KAFKA_PARTITIONS must be a whole number/],
  [{ KAFKA_MIN_ISR: "2" }, /^KAFKA_MIN_ISR must not be above/],
  [{ KAFKA_RETENTION_DAYS: "7" }, /^KAFKA_RETENTION_DAYS must be at least 8/],
  [{ REDIS_SHARDS: "257" }, /^REDIS_SHARDS must be a whole number from 1 to 256/],
  [{ REDIS_SPOOL_MIB: "0" }, /^REDIS_SPOOL_MIB must be a whole number of MiB from 16 to 262144$/],
  [{ REDIS_SPOOL_MIB: "15" }, /^REDIS_SPOOL_MIB must be a whole number of MiB from 16 to 262144$/],
  [{ REDIS_SPOOL_MIB: "512mb" }, /^REDIS_SPOOL_MIB must be a whole number of MiB from 16 to 262144$/],
  [{ REDIS_SPOOL_MIB: "300000" }, /^REDIS_SPOOL_MIB must be a whole number of MiB from 16 to 262144$/],
  [{ GATEWAY_PROCESSES: "0" }, /^GATEWAY_PROCESSES must be a whole number from 1 to 64$/],
  [{ GATEWAY_PROCESSES: "65" }, /^GATEWAY_PROCESSES must be a whole number from 1 to 64$/],
  [{ GATEWAY_PROCESSES: "3", GATEWAY_COUNT: "2" }, /^GATEWAY_COUNT counts all .* not be below GATEWAY_PROCESSES/],
  [{ GATEWAY_COUNT: "0" }, /^GATEWAY_COUNT must be a whole number from 1 to 10000/],
  [{ PROCESSOR_COUNT: "1.5" }, /^PROCESSOR_COUNT must be a whole number/],
  [{ KAFKA_PREFIX: "a b" }, /^KAFKA_PREFIX must be/],
];
for (const [settings, expected] of wrong) {
  test(`${JSON.stringify(settings)} is an error that names the variable and hides what is secret`, () => {
    const found = problems({ ...WHOLE, ...settings });
    assert.equal(found.length, 1);
    assert.match(found[0] ?? "", expected);
    assert.doesNotMatch(found.join(), /hunter2/);
  });
}
