/** A retry that waited elsewhere is due when it was planned to be, and lies in the topic of what is left of its wait. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { afterWait } from "@posthaste/shared/drivers/partitioned/delay-topics/after-wait.ts";
import { DELAYS_MS, createDelayPlan, delayName } from "@posthaste/shared/drivers/partitioned/delay-topics/plan.ts";
import { parseRetryRecord, retryRecord } from "@posthaste/shared/drivers/partitioned/delay-topics/retry-record.ts";
import { scheduledEvent } from "@posthaste/shared/ports/retry-queue.ts";
import { START_MS, sampleEnvelope } from "../../support/samples.ts";

const plan = createDelayPlan(DELAYS_MS);
const topicOf = (delayMs: number): string => `retry.${delayName(delayMs)}`;

function planned(waitMs: number) {
  const item = scheduledEvent(sampleEnvelope("evt_1"), {
    cause: "retry",
    notBeforeMs: START_MS + waitMs,
    endpointId: "ep_1",
    generation: 0,
    attempt: 2,
  });
  const topic = topicOf(plan.delayFor(waitMs));
  return retryRecord({ item, relays: 0, topic, nowMs: START_MS, time: "own", writer: "us" });
}

for (const [waitMs, waitedMs, topic] of [
  [5 * 60_000, 60_000, "retry.1m"],
  [3600_000, 2000, "retry.1h"],
  [3600_000, 90_000, "retry.10m"],
  [5000, 60_000, "retry.5s"],
  [24 * 3600_000, 7 * 3600_000, "retry.6h"],
] as const) {
  test(`planned in ${waitMs} ms, after ${waitedMs} ms elsewhere: due at the same time, in ${topic}`, () => {
    const record = afterWait(planned(waitMs), waitedMs, { plan, topicOf });
    assert.equal(record.topic, topic);
    // As the log keeps it, by its own time.
    const kept = { ...record, partition: 0, offset: 0, timestampMs: START_MS + waitedMs };
    const parsed = parseRetryRecord(kept);
    assert.ok(parsed.kind === "item");
    assert.equal(parsed.item.notBeforeMs, START_MS + waitMs);
    assert.equal(parsed.written, null);
  });
}

test("what is no planned item stays as it is, and so does one that says not when it was written", () => {
  const lane = { topic: "medium", partition: null, key: "a", value: null, headers: { written: "1" }, timestampMs: 3 };
  assert.equal(afterWait(lane, 1000, { plan, topicOf }), lane);
  const headers = Object.fromEntries(Object.entries(planned(5000).headers).filter(([name]) => name !== "written"));
  const unwritten = { ...planned(5000), headers };
  assert.equal(afterWait(unwritten, 1000, { plan, topicOf }), unwritten);
});
