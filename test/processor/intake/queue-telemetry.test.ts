import assert from "node:assert/strict";
import { test } from "node:test";
import { openMetrics } from "@posthaste/shared/drivers/metrics/metrics.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import type { Fields } from "@posthaste/shared/telemetry/log.ts";
import { createQueueTelemetry } from "@posthaste/shared/telemetry/queue.ts";

test("a loop that fails again and again is logged once a second, with the number of failures in between", async () => {
  await using metrics = openMetrics(systemClock, {});
  const logged: Fields[] = [];
  let nowMs = 0;
  const queue = createQueueTelemetry({
    meter: metrics.meter,
    clock: { monotonic: () => nowMs },
    log: { isEnabled: () => true, write: (_level, _event, fields) => void logged.push(fields) },
  });
  const fail = (loop: string): void => queue.loopFailed(loop, new Error("Redis is away"), 50.4);
  for (nowMs = 0; nowMs < 1500; nowMs += 100) fail("ack");
  fail("lane high");
  assert.deepEqual(logged, [
    { loop: "ack", error: "Redis is away", retry_in_ms: 50 },
    { loop: "ack", error: "Redis is away", retry_in_ms: 50, unlogged: 9 },
    { loop: "lane high", error: "Redis is away", retry_in_ms: 50 },
  ]);
});
