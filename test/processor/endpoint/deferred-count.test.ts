import assert from "node:assert/strict";
import { test } from "node:test";
import { createParked } from "@posthaste/processor/endpoint/deferred.ts";

test("what is parked counts until it is due, to the second", () => {
  const parked = createParked();
  for (const dueAtMs of [1500, 1999, 2000, 2001, 30_000]) parked.add(dueAtMs);
  assert.deepEqual(
    [0, 1999, 2000, 3000, 29_999, 30_000].map((nowMs) => parked.count(nowMs)),
    [5, 5, 2, 1, 1, 0],
  );
});

test("what could not be parked counts no more, and what is due cannot be taken back twice", () => {
  const parked = createParked();
  parked.add(1500);
  parked.add(1500);
  parked.remove(1500);
  assert.equal(parked.count(0), 1);
  assert.equal(parked.count(2000), 0);
  parked.remove(1500);
  assert.equal(parked.count(2000), 0);
});

test("it is known when no more than some will be left", () => {
  const parked = createParked();
  for (const dueAtMs of [9000, 1000, 5000, 1000]) parked.add(dueAtMs);
  assert.deepEqual(
    [4, 3, 2, 1, 0].map((most) => parked.whenAtMostMs(most, 500)),
    [500, 1000, 1000, 5000, 9000],
  );
});

test("ten thousand messages within an hour are remembered as seconds", () => {
  const parked = createParked();
  for (let count = 0; count < 10_000; count++) parked.add(count * 360);
  assert.equal(parked.count(0), 9_999);
  assert.equal(parked.count(1_800_000), 10_000 - 5_001);
});
