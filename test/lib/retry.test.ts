import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffMs, retry } from "@posthaste/shared/lib/retry.ts";
import type { RetryOptions } from "@posthaste/shared/lib/retry.ts";
import fc from "fast-check";
import { createManualClock } from "../support/manual-clock.ts";

const chance = (fraction: number) => ({ fraction: () => fraction });
const MIDDLE = chance(0.5);

function open(more: Partial<RetryOptions> = {}) {
  const clock = createManualClock(0);
  const stop = new AbortController();
  const told: { readonly error: unknown; readonly waitMs: number; readonly atMs: number }[] = [];
  const options: RetryOptions = {
    clock,
    entropy: MIDDLE,
    firstMs: 50,
    maxMs: 5000,
    signal: stop.signal,
    onFailure: (error, waitMs) => void told.push({ error, waitMs, atMs: clock.monotonic() }),
    ...more,
  };
  return { clock, stop, told, options };
}

test("backoffMs() doubles from the first wait and stays at the maximum", () => {
  const waits = Array.from({ length: 9 }, (_, index) => backoffMs(index, { firstMs: 50, maxMs: 5000 }, MIDDLE));
  assert.deepEqual(waits, [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
});

test("backoffMs() lies between half and one and a half of the doubled wait, however many failures there were", () => {
  fc.assert(
    fc.property(
      fc.nat(1_000_000),
      fc.integer({ min: 1, max: 10_000 }),
      fc.nat(1_000_000),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (attemptIndex, firstMs, moreMs, fraction) => {
        const bounds = { firstMs, maxMs: firstMs + moreMs };
        const doubledMs = backoffMs(attemptIndex, bounds, MIDDLE);
        const waitMs = backoffMs(attemptIndex, bounds, chance(fraction));
        assert.ok(doubledMs >= firstMs && doubledMs <= bounds.maxMs);
        assert.ok(waitMs >= doubledMs * 0.5 && waitMs <= doubledMs * 1.5);
      },
    ),
  );
});

test("backoffMs() refuses waits of nothing and a maximum below the first wait", () => {
  assert.throws(() => backoffMs(0, { firstMs: 0, maxMs: 10 }, MIDDLE), { name: "AssertionFailure" });
  assert.throws(() => backoffMs(0, { firstMs: 11, maxMs: 10 }, MIDDLE), { name: "AssertionFailure" });
});

test("retry() begins at once and gives the value of the first success", async () => {
  const { told, options } = open();
  let hasBegun = false;
  const working = retry(() => {
    hasBegun = true;
    return Promise.resolve("value");
  }, options);
  assert.equal(hasBegun, true);
  assert.deepEqual(await working, { kind: "done", value: "value" });
  assert.deepEqual(told, []);
});

test("retry() waits longer after each failure, tells of it, and numbers the tries from 0", async () => {
  const { clock, told, options } = open();
  const error = new Error("no store");
  const tries: number[] = [];
  const working = retry((attemptIndex) => {
    tries.push(attemptIndex);
    return attemptIndex < 3 ? Promise.reject(error) : Promise.resolve(attemptIndex);
  }, options);
  await clock.advance(349);
  assert.deepEqual(tries, [0, 1, 2]);
  await clock.advance(1);
  assert.deepEqual(await working, { kind: "done", value: 3 });
  assert.deepEqual(told, [
    { error, waitMs: 50, atMs: 0 },
    { error, waitMs: 100, atMs: 50 },
    { error, waitMs: 200, atMs: 150 },
  ]);
});

test("retry() does not spin in microtasks: without a timer there is one try", async () => {
  const { clock, options } = open();
  let tries = 0;
  void retry(() => Promise.reject(new Error(`try ${++tries}`)), options);
  for (let turn = 0; turn < 1000; turn++) await Promise.resolve();
  await clock.settle();
  assert.equal(tries, 1);
  assert.equal(clock.timerCount(), 1);
});

test("retry() makes no try when the signal is aborted before", async () => {
  const { stop, options } = open();
  stop.abort();
  assert.deepEqual(await retry(() => assert.fail("a try"), options), { kind: "aborted" });
});

test("an abort ends the wait at once and leaves no timer", async () => {
  const { clock, stop, options } = open();
  const working = retry(() => Promise.reject(new Error("no store")), options);
  await clock.settle();
  stop.abort();
  assert.deepEqual(await working, { kind: "aborted" });
  assert.equal(clock.timerCount(), 0);
});

test("a success after an abort counts, and a failure after it is told and ends the work", async () => {
  const { stop, told, options } = open();
  const succeeds = Promise.withResolvers<string>();
  const fails = Promise.withResolvers<string>();
  const both = [retry(() => succeeds.promise, options), retry(() => fails.promise, options)];
  stop.abort();
  succeeds.resolve("late");
  fails.reject(new Error("late"));
  assert.deepEqual(await Promise.all(both), [{ kind: "done", value: "late" }, { kind: "aborted" }]);
  assert.equal(told.length, 1);
});

test("retry() throws what is not retriable, and tells nobody else", async () => {
  const asked: number[] = [];
  const { clock, told, options } = open({
    isRetriable(_error, attemptIndex) {
      asked.push(attemptIndex);
      return attemptIndex < 2;
    },
  });
  const working = assert.rejects(
    retry((attemptIndex) => Promise.reject(new Error(`try ${attemptIndex}`)), options),
    { message: "try 2" },
  );
  await clock.advance(1000);
  await working;
  assert.deepEqual(asked, [0, 1, 2]);
  assert.equal(told.length, 2);
});
