import assert from "node:assert/strict";
import { test } from "node:test";
import { createHeap } from "@posthaste/shared/lib/heap.ts";
import fc from "fast-check";

test("heap: pops in order what was pushed in any", () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), (numbers) => {
      const heap = createHeap<number>((left, right) => left - right);
      numbers.forEach(heap.push);
      heap.retain((number) => number % 3 !== 0);
      const popped = Array.from({ length: heap.size() }, () => heap.pop());
      assert.deepEqual(
        popped,
        numbers.filter((number) => number % 3 !== 0).toSorted((left, right) => left - right),
      );
    }),
  );
});
