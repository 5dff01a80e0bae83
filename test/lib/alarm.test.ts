import assert from "node:assert/strict";
import { test } from "node:test";
import { ALARM_MS_MAX, Alarm } from "@posthaste/shared/lib/alarm.ts";
import { createManualClock } from "../support/clocks/manual-clock.ts";

const START_MS = Date.UTC(2026, 0, 31, 12);
const HOUR_MS = 3_600_000;

/** An alarm for one due time, set again by whoever is rung, as its users do; when it was found due. */
function openWaiter(dueAtMs: number) {
  const clock = createManualClock(START_MS);
  const foundAtMs: number[] = [];
  const alarm = new Alarm(clock, () => {
    if (clock.now() >= dueAtMs) foundAtMs.push(clock.now());
    else alarm.setFor(dueAtMs);
  });
  alarm.setFor(dueAtMs);
  return { clock, alarm, foundAtMs };
}

test("it rings at the time it was set for, and once", async () => {
  const { clock, foundAtMs } = openWaiter(START_MS + 3 * HOUR_MS);
  await clock.advance(3 * HOUR_MS - 1);
  assert.deepEqual(foundAtMs, []);
  await clock.advance(HOUR_MS);
  assert.deepEqual(foundAtMs, [START_MS + 3 * HOUR_MS]);
  assert.equal(clock.timerCount(), 0);
});

test("the earliest of several times counts, and a later one does not move it", async () => {
  const clock = createManualClock(START_MS);
  const rungAtMs: number[] = [];
  const alarm = new Alarm(clock, () => void rungAtMs.push(clock.now() - START_MS));
  for (const ms of [5000, 1000, 9000]) alarm.setFor(START_MS + ms);
  alarm.setFor(null);
  await clock.advance(20_000);
  assert.deepEqual(rungAtMs, [1000]);
});

test("after a step of the clock forward, what is due is found within a minute", async () => {
  const { clock, foundAtMs } = openWaiter(START_MS + 3 * HOUR_MS);
  await clock.advance(1000);
  clock.stepWall(4 * HOUR_MS);
  await clock.advance(ALARM_MS_MAX);
  assert.equal(foundAtMs.length, 1);
});

test("after a step back nothing is found before its time, and it is found at it", async () => {
  const { clock, foundAtMs } = openWaiter(START_MS + 10_000);
  clock.stepWall(-2 * HOUR_MS);
  await clock.advance(2 * HOUR_MS + 9_999);
  assert.deepEqual(foundAtMs, []);
  await clock.advance(1);
  assert.deepEqual(foundAtMs, [START_MS + 10_000]);
});

test("stopped, it does not ring and leaves no timer", async () => {
  const { clock, alarm, foundAtMs } = openWaiter(START_MS + 1000);
  alarm.stop();
  await clock.advance(5000);
  assert.deepEqual([foundAtMs, clock.timerCount()], [[], 0]);
});
