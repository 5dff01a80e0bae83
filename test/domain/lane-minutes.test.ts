/** How what flows through the lanes is counted before a store has it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  FLOW_FIELDS,
  FLOW_MINUTES_MAX,
  laneMinutes,
  MINUTE_MS,
  PendingMinutes,
  TOOK_BOUNDS_MS,
} from "@posthaste/shared/domain/lane-minutes.ts";

const START_MS = 1_700_000_040_000;

test("minutes that wait for a store have a bound: the latest are kept, each field of them at most once", () => {
  const pending = new PendingMinutes();
  for (let minute = 0; minute < 200; minute++) {
    const atMs = START_MS + minute * MINUTE_MS;
    for (const lane of ["high", "medium", "low"] as const) {
      pending.accepted(lane, atMs);
      for (const outcome of ["retried", "dead"] as const) pending.ended(lane, outcome, 0, atMs);
      for (const ms of [0, ...TOOK_BOUNDS_MS, 1e12]) pending.ended(lane, "delivered", ms, atMs);
    }
  }
  const all = pending.takeAll();
  assert.equal(all.length, FLOW_MINUTES_MAX);
  assert.equal(Math.min(...all.map(({ minute }) => minute)), START_MS + (200 - FLOW_MINUTES_MAX) * MINUTE_MS);
  for (const { counts } of all) assert.deepEqual(new Set(counts.map(([field]) => field)), FLOW_FIELDS);
  assert.ok(pending.isEmpty);
});

test("what comes from several places is one minute, in order, and a minute of nothing is left out", () => {
  const at = (minute: number, field: string, count: number) => {
    return { minute: START_MS + minute * MINUTE_MS, counts: [[field, count]] as const };
  };
  const read = [at(1, "low:dead", 2), at(0, "high:accepted", 1), at(1, "low:dead", 3), at(2, "low:accepted", 0)];
  const found = laneMinutes(read).map(({ atMs, lane, accepted, dead }) => [atMs - START_MS, lane, accepted, dead]);
  assert.deepEqual(found, [
    [0, "high", 1, 0],
    [MINUTE_MS, "low", 0, 5],
  ]);
});
