/** The line that tells of a store that went: a sentence of ours, and what was thrown beside it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createNoopMeter } from "@opentelemetry/api";
import { recordDamaged, storeUnavailable } from "@posthaste/shared/drivers/redis/client/redis-faults.ts";
import { openMetrics } from "@posthaste/shared/drivers/metrics/metrics.ts";
import { createManualClock } from "../support/clocks/manual-clock.ts";
import { createStoreTelemetry } from "@posthaste/shared/telemetry/store.ts";

const meanwhile = "HIGH goes through Kafka.";
const reason = "Redis does not answer.";

function awayLine(cause: unknown): unknown {
  const lines: unknown[] = [];
  const log = { write: (...line: unknown[]) => void lines.push(line), isEnabled: () => true };
  createStoreTelemetry({
    fallbacks: { set: () => undefined },
    meter: createNoopMeter(),
    log,
    clock: { monotonic: () => 0 },
  }).away("redis", {
    reason,
    cause,
    meanwhile,
  });
  assert.equal(lines.length, 1);
  return lines[0];
}

test("store.away says in our words that the store does not answer; what its client said is the cause", () => {
  const thrown = storeUnavailable("The connection to Redis failed", new Error("read ECONNRESET"));
  const cause = "The connection to Redis failed: read ECONNRESET";
  assert.deepEqual(awayLine(thrown), ["warn", "store.away", { store: "redis", reason, cause, meanwhile }]);
});

test("store.away has no cause when nothing was thrown", () => {
  assert.deepEqual(awayLine(undefined), ["warn", "store.away", { store: "redis", reason, meanwhile }]);
});

test("records that do not read back are counted by store, each time; other faults are not", async () => {
  const clock = createManualClock(0);
  await using metrics = openMetrics(clock, { "service.name": "test" });
  const lines: unknown[] = [];
  const log = { write: (...line: unknown[]) => void lines.push(line), isEnabled: () => true };
  const { fault } = createStoreTelemetry({ fallbacks: { set: () => undefined }, meter: metrics.meter, log, clock });
  fault("redis", recordDamaged("The record of a dead letter in Redis does not read back"));
  fault("redis", recordDamaged("The record of a dead letter in Redis does not read back"));
  fault("redis", storeUnavailable("Redis refused with OOM"));
  fault("sqlite", recordDamaged("The row 1 of the dead letters does not read back"));
  const text = await metrics.collect("prometheus");
  assert.match(text, /^posthaste_records_damaged_total\{store="redis".*\} 2$/m);
  assert.match(text, /^posthaste_records_damaged_total\{store="sqlite".*\} 1$/m);
  assert.equal(lines.length, 2);
});
