import assert from "node:assert/strict";
import { test } from "node:test";
import { increaseOf } from "@posthaste/shared/lib/increase-of.ts";
import fc from "fast-check";

test("the increases add up to the count, none is told twice", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(100)), (growth) => {
      let count = 0;
      let told = 0;
      const increase = increaseOf(() => count);
      for (const more of growth) {
        count += more;
        assert.equal(increase(), more);
        told += more;
        assert.equal(increase(), 0);
      }
      assert.equal(told, count);
    }),
  );
});
