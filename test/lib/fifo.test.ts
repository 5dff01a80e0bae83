import assert from "node:assert/strict";
import { test } from "node:test";
import { Fifo } from "@posthaste/shared/lib/fifo.ts";
import fc from "fast-check";

interface Item {
  readonly number: number;
}

const numbered = (count: number): Item[] => Array.from({ length: count }, (_, number) => ({ number }));

const calls = fc.oneof(
  { weight: 4, arbitrary: fc.record({ call: fc.constant("push" as const), count: fc.integer({ min: 1, max: 90 }) }) },
  { weight: 4, arbitrary: fc.record({ call: fc.constant("shift" as const), count: fc.integer({ min: 1, max: 90 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ call: fc.constant("shiftUpTo" as const), count: fc.integer({ min: 0, max: 90 }) }),
  },
  { weight: 1, arbitrary: fc.record({ call: fc.constant("clear" as const), count: fc.constant(0) }) },
);

test("a Fifo does what an array does with push, shift and splice", () => {
  fc.assert(
    fc.property(fc.array(calls, { maxLength: 60 }), (given) => {
      const fifo = new Fifo<Item>();
      const model: Item[] = [];
      let number = 0;
      for (const { call, count } of given) {
        if (call === "push") {
          for (let left = count; left > 0; left--) {
            const item = { number: number++ };
            fifo.push(item);
            model.push(item);
          }
        } else if (call === "shift") {
          for (let left = count; left > 0; left--) assert.equal(fifo.shift(), model.shift());
        } else if (call === "shiftUpTo") {
          assert.deepEqual(fifo.shiftUpTo(count), model.splice(0, count));
        } else {
          fifo.clear();
          model.splice(0);
        }
        assert.equal(fifo.length, model.length);
        assert.equal(fifo.peek(), model[0]);
        assert.deepEqual([...fifo], model);
      }
    }),
  );
});

test("an empty Fifo has nothing to give, again and again", () => {
  const fifo = new Fifo<Item>();
  assert.equal(fifo.shift(), undefined);
  assert.equal(fifo.shift(), undefined);
  assert.equal(fifo.peek(), undefined);
  assert.deepEqual(fifo.shiftUpTo(5), []);
  assert.equal(fifo.length, 0);
});

test("iteration sees what is pushed meanwhile", () => {
  const fifo = new Fifo<Item>();
  for (const item of numbered(3)) fifo.push(item);
  const seen: number[] = [];
  for (const { number } of fifo) {
    seen.push(number);
    if (number === 0) fifo.push({ number: 9 });
  }
  assert.deepEqual(seen, [0, 1, 2, 9]);
});

test("100,000 items go through a queue that is never empty, in order", () => {
  const fifo = new Fifo<Item>();
  for (const item of numbered(1000)) fifo.push(item);
  for (let number = 1000; number < 100_000; number++) {
    fifo.push({ number });
    assert.equal(fifo.shift()?.number, number - 1000);
  }
  assert.equal(fifo.length, 1000);
});
