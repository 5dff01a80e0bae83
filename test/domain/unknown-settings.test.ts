/** A mistyped setting is named with the one that was meant. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { unknownSettings } from "@posthaste/shared/domain/unknown-settings.ts";

for (const [name, meant] of [
  ["POSTHASTE_OPERATER_KEY", "POSTHASTE_OPERATOR_KEY"],
  ["POSTHASTE_MASTERKEY", "POSTHASTE_MASTER_KEY"],
  ["POSTHASTE_ALLOW_CIDR", "POSTHASTE_ALLOW_CIDRS"],
  ["POSTHASTE_DATA_DIR", "POSTHASTE_DATA"],
  ["POSTHASTE_PORT", "PORT"],
  ["POSTHASTE_REDIS_URL", "REDIS_URL"],
  ["POSTHASTE_LOG_LEVEL", "LOG_LEVEL"],
  ["KAFKA_BROKER", "KAFKA_BROKERS"],
  ["REDIS_URI", "REDIS_URL"],
  ["REDIS_SHARD", "REDIS_SHARDS"],
  ["posthaste_data", "POSTHASTE_DATA"],
  ["Posthaste_Master_Key", "POSTHASTE_MASTER_KEY"],
  ["POSTHAST_DATA", "POSTHASTE_DATA"],
  ["POST_HASTE_DATA", "POSTHASTE_DATA"],
  ["POSTHATSE_OPERATOR_KEY", "POSTHASTE_OPERATOR_KEY"],
  ["PROCESSOR_PROT", "PROCESSOR_PORT"],
  ["LOG_LEVL", "LOG_LEVEL"],
  ["LOG_DELIVERYS", "LOG_DELIVERIES"],
  ["STOP_NOTICE", "STOP_NOTICE_S"],
  ["IDEMPOTENCY_GB", "IDEMPOTENCY_GIB"],
  ["redis_url", "REDIS_URL"],
] as const) {
  test(`${name} is named, and ${meant} with it`, () => {
    assert.deepEqual(unknownSettings({ [name]: "secret value" }), [
      `${name} is no setting and has no effect; did you mean ${meant}?`,
    ]);
  });
}

test("a name that is near none of ours is named alone", () => {
  assert.deepEqual(unknownSettings({ POSTHASTE_FLUX_CAPACITOR: "1" }), [
    "POSTHASTE_FLUX_CAPACITOR is no setting and has no effect",
  ]);
});

test("settings, names without our prefix, and those that Kubernetes adds for a service are nobody's mistake", () => {
  const known = {
    POSTHASTE_DATA: "x",
    POSTHASTE_MASTER_KEY: "x",
    POSTHASTE_KEY: "phk_x",
    HOSTT: "x",
    REDIS_HOST: "x",
    KAFKA_HOME: "/opt/kafka",
    KAFKA_PORT: "9092",
    REDIS_PORT: "6379",
    POSTHASTE_SERVICE_HOST: "10.0.0.1",
    POSTHASTE_SERVICE_PORT: "8080",
    POSTHASTE_SERVICE_PORT_HTTP: "8080",
    POSTHASTE_GATEWAY_SERVICE_HOST: "10.0.0.1",
    POSTHASTE_PORT: "tcp://10.0.0.1:8080",
    POSTHASTE_PORT_8080_TCP: "tcp://10.0.0.1:8080",
    POSTHASTE_PORT_8080_TCP_ADDR: "10.0.0.1",
    POSTHASTE_PORT_8080_TCP_PROTO: "tcp",
  };
  assert.deepEqual(unknownSettings(known), []);
});

test("every setting that the README names is known", () => {
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const names = new Set(readme.match(/\bPOSTHASTE_[A-Z_]+\b/g));
  assert.ok(names.size >= 4);
  assert.deepEqual(unknownSettings(Object.fromEntries([...names].map((name) => [name, "x"]))), []);
});
