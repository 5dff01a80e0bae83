/** What timers that come late tell of the process, and how long they wait for what came meanwhile. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { GRACE_MS, STILL_MS, createStandstills } from "@posthaste/shared/lib/standstills.ts";

function open() {
  const at = { steadyMs: 1000, wallMs: 5_000_000 };
  const told: [number, boolean][] = [];
  const standstills = createStandstills({ wall: () => at.wallMs, steady: () => at.steadyMs });
  standstills.listen((ms, isSure) => void told.push([ms, isSure]));
  const pass = (ms: number): void => {
    at.steadyMs += ms;
    at.wallMs += ms;
  };
  return { at, told, pass, ...standstills };
}

test("a timer that comes in time, or a little late, does not wait", () => {
  const { at, told, pass, graceMs } = open();
  assert.equal(graceMs(at.steadyMs), 0);
  pass(STILL_MS);
  assert.equal(graceMs(at.steadyMs - STILL_MS), 0);
  assert.deepEqual(told, []);
});

test("timers that fell due during a standstill wait for the grace, and the standstill is told once", () => {
  const { at, told, pass, graceMs } = open();
  const [first, second, last] = [at.steadyMs + 100, at.steadyMs + 200, at.steadyMs + 59_999];
  pass(60_000);
  assert.equal(graceMs(first), GRACE_MS);
  assert.equal(graceMs(second), GRACE_MS);
  pass(100);
  assert.equal(graceMs(last), GRACE_MS - 100, "one that is hardly late, too: its answer may lie in the socket");
  assert.deepEqual(told, [[59_900, true]]);
});

test("a timer that was set since does not wait", () => {
  const { at, pass, graceMs } = open();
  pass(60_000);
  graceMs(at.steadyMs - 60_000);
  pass(100);
  assert.equal(graceMs(at.steadyMs - 50), 0);
});

test("a second standstill is told, too", () => {
  const { at, told, pass, graceMs } = open();
  for (let round = 0; round < 2; round++) {
    pass(10_000);
    assert.equal(graceMs(at.steadyMs - 9000), GRACE_MS);
  }
  assert.deepEqual(told, [
    [9000, true],
    [9000, true],
  ]);
});

test("a time of day that goes ahead is told as not sure, once; one that is set back is not told", () => {
  const { at, told, graceMs } = open();
  at.wallMs += 3_600_000;
  assert.equal(graceMs(at.steadyMs), GRACE_MS, "a machine that slept has answers unread");
  at.steadyMs += GRACE_MS;
  at.wallMs += GRACE_MS;
  assert.equal(graceMs(at.steadyMs), 0);
  at.wallMs -= 3_600_000;
  assert.equal(graceMs(at.steadyMs), 0);
  assert.deepEqual(told, [[3_600_000, false]]);
});

test("who has stopped listening is told nothing", () => {
  const { at, pass, listen, graceMs } = open();
  let count = 0;
  const stop = listen(() => void (count += 1));
  stop();
  pass(10_000);
  graceMs(at.steadyMs - 10_000);
  assert.equal(count, 0);
});
