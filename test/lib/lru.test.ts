import assert from "node:assert/strict";
import { test } from "node:test";
import { Lru } from "@posthaste/shared/lib/lru.ts";
import fc from "fast-check";
import { createManualClock } from "../support/manual-clock.ts";

const calls = fc.record({
  call: fc.constantFrom("get", "peek", "set", "replace", "delete"),
  key: fc.nat(12),
  value: fc.integer({ min: 0, max: 30 }),
});

test("an Lru does what a sorted list does, within its count and weight", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 60 }),
      fc.array(calls, { maxLength: 120 }),
      (countMax, weightMax, given) => {
        const lru = new Lru<number, number>({ countMax, weight: { max: weightMax, of: (value) => value } });
        /** Longest unused first. */
        let model: (readonly [key: number, value: number])[] = [];
        const weigh = (): number => model.reduce((sum, [, value]) => sum + value, 0);
        for (const { call, key, value } of given) {
          const entry = model.find(([other]) => other === key);
          const others = model.filter(([other]) => other !== key);
          if (call === "get") {
            assert.equal(lru.get(key), entry?.[1]);
            if (entry !== undefined) model = [...others, entry];
          } else if (call === "peek") {
            assert.equal(lru.peek(key), entry?.[1]);
          } else if (call === "delete") {
            assert.equal(lru.delete(key), entry !== undefined);
            model = others;
          } else {
            lru[call === "set" ? "set" : "replace"](key, value);
            const keepsPlace = call === "replace" && entry !== undefined;
            model = keepsPlace ? model.map((one) => (one[0] === key ? [key, value] : one)) : [...others, [key, value]];
            while (model.length > countMax || (weigh() > weightMax && model.length > 1)) {
              const oldest = model.find(([other]) => other !== key);
              model = model.filter((one) => one !== oldest);
            }
          }
          assert.deepEqual(
            [...lru.keys()],
            model.map(([other]) => other),
          );
          assert.equal(lru.size, model.length);
          assert.equal(lru.weight, weigh());
        }
      },
    ),
  );
});

test("an entry heavier than all may be together stays alone until the next comes", () => {
  const lru = new Lru<string, number>({ countMax: 10, weight: { max: 5, of: (value) => value } });
  lru.set("light", 1);
  lru.set("heavy", 9);
  assert.deepEqual([...lru.keys()], ["heavy"]);
  lru.set("light", 1);
  assert.deepEqual([...lru.keys()], ["light"]);
});

test("an entry is gone when its age is over, and a use does not keep it", async () => {
  const clock = createManualClock(0);
  const lru = new Lru<string, number>({ countMax: 10, age: { ms: 100, clock } });
  lru.set("a", 1);
  lru.set("b", 2);
  await clock.advance(99);
  assert.equal(lru.get("a"), 1);
  lru.replace("b", 3);
  await clock.advance(1);
  assert.equal(lru.peek("a"), undefined);
  assert.equal(lru.get("b"), 3);
  assert.equal(lru.size, 1);
  await clock.advance(99);
  assert.equal(lru.get("b"), undefined);
  assert.equal(lru.size, 0);
});

test("false and 0 are values like any other", () => {
  const lru = new Lru<string, number | boolean>({ countMax: 2 });
  lru.set("no", false);
  lru.set("none", 0);
  assert.equal(lru.get("no"), false);
  assert.equal(lru.get("none"), 0);
});
