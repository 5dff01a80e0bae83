/** The line that tells of a store that went: a sentence of ours, and what was thrown beside it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { storeUnavailable } from "@posthaste/shared/drivers/redis/client/ioredis-calls.ts";
import { createStoreTelemetry } from "@posthaste/shared/telemetry/store.ts";

const meanwhile = "HIGH goes through Kafka.";
const reason = "Redis does not answer.";

function awayLine(cause: unknown): unknown {
  const lines: unknown[] = [];
  const log = { write: (...line: unknown[]) => void lines.push(line), isEnabled: () => true };
  createStoreTelemetry({ log, clock: { monotonic: () => 0 } }).away("redis", { reason, cause, meanwhile });
  assert.equal(lines.length, 1);
  return lines[0];
}

test("store.away says in our words that the store does not answer; what its client said is the cause", () => {
  const thrown = storeUnavailable("The connection to Redis failed", new Error("read ECONNRESET"));
  const cause = "The connection to Redis failed.: read ECONNRESET";
  assert.deepEqual(awayLine(thrown), ["warn", "store.away", { store: "redis", reason, cause, meanwhile }]);
});

test("store.away has no cause when nothing was thrown", () => {
  assert.deepEqual(awayLine(undefined), ["warn", "store.away", { store: "redis", reason, meanwhile }]);
});
