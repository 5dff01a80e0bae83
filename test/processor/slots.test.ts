import assert from "node:assert/strict";
import { test } from "node:test";
import { createSlots } from "@posthaste/processor/slots.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";
import fc from "fast-check";

const bounds = { all: 8, mediumAndLow: 6, low: 3 };

function takeAll(lane: "high" | "medium" | "low", slots = createSlots(bounds)) {
  let taken = 0;
  for (; slots.isFree(lane); taken++) slots.take(lane);
  return { slots, taken };
}

const alone = [
  ["high", 8],
  ["medium", 6],
  ["low", 3],
] as const;
for (const [lane, most] of alone) {
  test(`${lane} alone gets ${most} of 8 slots`, () => assert.equal(takeAll(lane).taken, most));
}

test("behind all that LOW may take, MEDIUM gets its rest and HIGH the rest of all", () => {
  const { slots } = takeAll("low");
  assert.deepEqual([takeAll("medium", slots).taken, takeAll("high", slots).taken], [3, 2]);
});

test("HIGH may take all, and then nobody finds a slot", () => {
  const { slots } = takeAll("high");
  assert.deepEqual(
    LANES.map((lane) => slots.isFree(lane)),
    [false, false, false],
  );
});

test("a slot that is freed can be taken again, by its lane and by those above", () => {
  const { slots } = takeAll("low");
  slots.free("low");
  assert.deepEqual([slots.count(), slots.isFree("low"), slots.isFree("high")], [2, true, true]);
});

test("whatever is taken and freed, no lane passes its bound and HIGH always finds what the others may not take", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...LANES), fc.boolean()), { maxLength: 100 }), (steps) => {
      const slots = createSlots(bounds);
      const taken = { high: 0, medium: 0, low: 0 };
      for (const [lane, isTake] of steps) {
        if (isTake && slots.isFree(lane)) {
          slots.take(lane);
          taken[lane] += 1;
        } else if (!isTake && taken[lane] > 0) {
          slots.free(lane);
          taken[lane] -= 1;
        }
        assert.ok(taken.low <= bounds.low && taken.medium + taken.low <= bounds.mediumAndLow);
        assert.equal(slots.count(), taken.high + taken.medium + taken.low);
        assert.equal(slots.isFree("high"), slots.count() < bounds.all);
      }
    }),
  );
});
