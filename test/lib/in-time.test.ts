import assert from "node:assert/strict";
import { test } from "node:test";
import { inTime } from "@posthaste/shared/lib/in-time.ts";
import { createManualClock } from "../support/manual-clock.ts";

test("inTime() gives the value of work that is in time, and leaves no timer", async () => {
  const clock = createManualClock(0);
  const { promise, resolve } = Promise.withResolvers<string>();
  const waiting = inTime(clock, 100, promise);
  await clock.advance(99);
  resolve("value");
  assert.deepEqual(await waiting, { kind: "done", value: "value" });
  await clock.settle();
  assert.equal(clock.timerCount(), 0);
});

test("inTime() gives a timeout after its time, not before", async () => {
  const clock = createManualClock(0);
  let given: unknown;
  const waiting = inTime(clock, 100, new Promise<never>(() => undefined)).then((result) => (given = result));
  await clock.advance(99);
  assert.equal(given, undefined);
  await clock.advance(1);
  await waiting;
  assert.deepEqual(given, { kind: "timeout" });
});

test("inTime() rejects as the work does in time", async () => {
  const clock = createManualClock(0);
  await assert.rejects(inTime(clock, 100, Promise.reject(new Error("no store"))), { message: "no store" });
  await clock.settle();
  assert.equal(clock.timerCount(), 0);
});

test("work that fails too late disturbs nobody", async () => {
  const clock = createManualClock(0);
  const { promise, reject } = Promise.withResolvers<string>();
  const waiting = inTime(clock, 100, promise);
  await clock.advance(100);
  assert.deepEqual(await waiting, { kind: "timeout" });
  // An unhandled rejection would fail this test's run.
  reject(new Error("late"));
  await clock.settle();
});
