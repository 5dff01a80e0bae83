import assert from "node:assert/strict";
import { test } from "node:test";
import { createDeferredCount } from "@posthaste/processor/endpoint/deferred-count.ts";

test("what is deferred counts until it is due, to the second", () => {
  const deferred = createDeferredCount();
  for (const dueAtMs of [1500, 1999, 2000, 2001, 30_000]) deferred.add(dueAtMs);
  assert.deepEqual(
    [0, 1999, 2000, 3000, 29_999, 30_000].map((nowMs) => deferred.count(nowMs)),
    [5, 5, 2, 1, 1, 0],
  );
});

test("it is known when no more than some will be left", () => {
  const deferred = createDeferredCount();
  for (const dueAtMs of [9000, 1000, 5000, 1000]) deferred.add(dueAtMs);
  assert.deepEqual(
    [4, 3, 2, 1, 0].map((most) => deferred.whenAtMostMs(most, 500)),
    [500, 1000, 1000, 5000, 9000],
  );
});

test("ten thousand deliveries within an hour are remembered as seconds", () => {
  const deferred = createDeferredCount();
  for (let count = 0; count < 10_000; count++) deferred.add(count * 360);
  assert.equal(deferred.count(0), 9_999);
  assert.equal(deferred.count(1_800_000), 10_000 - 5_001);
});
