/** The parts of the retry queue on the log: the arithmetic of the delay topics, its heap and memory, its records. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DELIVER_AHEAD_MS_MAX } from "@posthaste/shared/domain/event.ts";
import {
  RETRY_VALUE_BYTES_MAX,
  parseRetryRecord,
  retryRecord,
} from "@posthaste/shared/drivers/partitioned/delay-topics/retry-record.ts";
import { DELAYS_MS, createDelayPlan, delayName } from "@posthaste/shared/drivers/partitioned/delay-topics/plan.ts";
import fc from "fast-check";
import { START_MS, sampleEnvelopes, sampleScheduled } from "../../support/samples.ts";

const RESUME_MS = 500;

/** Runs one wait through the topics, each append late by `appendMs`; the appends it took, and when it was read last. */
function relayUntilLast(waitMs: number, appendMs: number, isCrowded: boolean): { appends: number; readAtMs: number } {
  const plan = createDelayPlan(DELAYS_MS);
  let nowMs = 0;
  for (let appends = 1; ; appends++) {
    const writtenAtMs = nowMs + appendMs;
    const relayAtMs = writtenAtMs + plan.delayFor(waitMs - nowMs);
    const isPaused = relayAtMs - plan.leadMs > writtenAtMs;
    const readAtMs = isPaused ? relayAtMs - plan.leadMs + RESUME_MS : writtenAtMs;
    // The smallest topic holds whatever comes to it.
    const isHeld = plan.isLast(relayAtMs, waitMs, isCrowded && plan.delayFor(waitMs - nowMs) !== 5000);
    if (isHeld) return { appends, readAtMs };
    assert.ok(waitMs - relayAtMs >= 5000, "there is something left to wait");
    nowMs = relayAtMs;
  }
}

test("delay plan: any wait is in memory before its time a bounded number of appends, however slow each is", () => {
  const wait = fc.integer({ min: 0, max: DELIVER_AHEAD_MS_MAX });
  fc.assert(
    fc.property(wait, fc.integer({ min: 0, max: 2000 }), fc.boolean(), (waitMs, appendMs, isCrowded) => {
      const { appends, readAtMs } = relayUntilLast(waitMs, appendMs, isCrowded);
      assert.ok(readAtMs <= Math.max(waitMs, appendMs), `read ${readAtMs - waitMs} ms late`);
      assert.ok(appends <= (isCrowded ? 53 : 52), `${appends} appends`);
    }),
  );
});

test("delay plan: appends grow with the steps of the delays, not with the wait; round waits take the fewest", () => {
  const most = (untilMs: number, isCrowded: boolean): number => {
    const waits = Array.from({ length: 5000 }, (_, index) => Math.round((untilMs * (index + 1)) / 5000));
    return Math.max(...waits.map((waitMs) => relayUntilLast(waitMs, 3, isCrowded).appends));
  };
  const bounds = [1, 30, 60, 14 * 60, 30 * 24 * 60].map((minutes) => [
    most(minutes * 60_000, false),
    most(minutes * 60_000, true),
  ]);
  assert.deepEqual(bounds, [
    [1, 1],
    [11, 12],
    [14, 15],
    [20, 21],
    [50, 51],
  ]);
  const round = [10, 20, 40, 300, 600, 1800, 3600, 2 * 3600, 5 * 3600, 14 * 3600, 24 * 3600];
  assert.deepEqual(
    round.map((seconds) => relayUntilLast(seconds * 1000, 3, false).appends),
    [1, 1, 1, 4, 1, 3, 1, 2, 5, 4, 1],
  );
});

test("delay plan: the names of delays", () => {
  assert.deepEqual([...DELAYS_MS, 1500, 90_000].map(delayName), [..."5s 1m 10m 1h 6h 1d".split(" "), "1500ms", "90s"]);
});

test("retry record: a group of 1,000 members and 512 KiB fits and reads back", () => {
  const members = sampleEnvelopes(1000, {
    tenant: "t".repeat(64),
    type: "order.".padEnd(128, "x"),
    traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    body: new Uint8Array(515),
  }).map((member, index) => ({ ...member, id: `evt_${index}`.padEnd(64, "y"), directoryVersion: index }));
  const item = sampleScheduled(members, { group: { id: "grp_a", closedAtMs: START_MS } });
  const record = retryRecord({ item, relays: 3, topic: "t", nowMs: START_MS, time: "own", writer: "a1" });
  assert.ok(record.value !== null && record.value.length <= RETRY_VALUE_BYTES_MAX);
  const parsed = parseRetryRecord({ ...record, partition: 0, offset: 0 });
  assert.deepEqual(parsed, { kind: "item", item, relays: 3, written: { writer: "a1", atMs: START_MS } });
});

test("retry record: bytes cut anywhere are poison, never a throw", () => {
  const item = sampleScheduled(sampleEnvelopes(3), { group: { id: "grp_a", closedAtMs: START_MS } });
  const record = retryRecord({ item, relays: 0, topic: "t", nowMs: START_MS, time: "own" });
  const value = record.value ?? new Uint8Array();
  for (let length = 0; length < value.length; length++) {
    const parsed = parseRetryRecord({ ...record, partition: 0, offset: 0, value: value.subarray(0, length) });
    if (parsed.kind === "item") assert.ok(parsed.item.members.length < 3);
  }
  assert.equal(parseRetryRecord({ ...record, partition: 0, offset: 0, value: null }).kind, "poison");
});

for (const [name, value] of [
  ["attempt", "0"],
  ["attempt", "-1"],
  ["generation", "-1"],
  ["parks", "-3"],
  ["hops", "1.5"],
  ["endpoint", "ep a"],
  ["endpoint", "../ep"],
  ["group", "grp\n1"],
  ["not-before", "soon"],
  ["cause", "other"],
] as const) {
  test(`retry record: a ${name} of ${JSON.stringify(value)} is poison`, () => {
    const item = sampleScheduled(sampleEnvelopes(1));
    const record = {
      ...retryRecord({ item, relays: 0, topic: "t", nowMs: START_MS, time: "own" }),
      partition: 0,
      offset: 0,
    };
    assert.equal(parseRetryRecord(record).kind, "item");
    assert.equal(parseRetryRecord({ ...record, headers: { ...record.headers, [name]: value } }).kind, "poison");
  });
}
