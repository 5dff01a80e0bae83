import assert from "node:assert/strict";
import { test } from "node:test";
import { RecentSet } from "@posthaste/shared/lib/recent-set.ts";
import fc from "fast-check";
import { createManualClock } from "../support/manual-clock.ts";

test("add() tells a new key from one that is remembered", () => {
  const recent = new RecentSet<string>({ countMax: 10 });
  assert.equal(recent.add("a"), true);
  assert.equal(recent.add("a"), false);
  assert.equal(recent.has("a"), true);
  assert.equal(recent.has("b"), false);
});

test("the latest keys are remembered, countMax at least and twice as many at most", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.array(fc.nat(60), { maxLength: 200 }), (countMax, keys) => {
      const recent = new RecentSet<number>({ countMax });
      const added: number[] = [];
      for (const key of keys) {
        if (recent.add(key)) added.push(key);
        assert.ok(recent.size <= 2 * countMax);
        for (const late of added.slice(-countMax)) assert.ok(recent.has(late), `${late} is one of the latest`);
      }
    }),
  );
});

test("a key is forgotten in the end, when others come", () => {
  const recent = new RecentSet<number>({ countMax: 3 });
  for (let key = 0; key < 7; key++) recent.add(key);
  assert.equal(recent.has(0), false);
  assert.equal(recent.has(6), true);
});

test("a key is remembered for its age at least, and for less than twice that, whoever looks and when", async () => {
  const waits = fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(waits, async (given) => {
      const clock = createManualClock(0);
      const recent = new RecentSet<number>({ countMax: 1000, age: { ms: 100, clock } });
      const addedAtMs: number[] = [];
      for (const waitMs of given) {
        await clock.advance(waitMs);
        for (const [key, atMs] of addedAtMs.entries()) {
          const ageMs = clock.monotonic() - atMs;
          if (ageMs < 100) assert.equal(recent.has(key), true, `${ageMs} ms are young`);
          if (ageMs >= 200) assert.equal(recent.has(key), false, `${ageMs} ms are too old`);
        }
        recent.add(addedAtMs.length);
        addedAtMs.push(clock.monotonic());
      }
    }),
    { numRuns: 20 },
  );
});

test("a step of the wall clock makes nothing older", async () => {
  const clock = createManualClock(0);
  const recent = new RecentSet<string>({ countMax: 10, age: { ms: 100, clock } });
  recent.add("a");
  clock.stepWall(1_000_000);
  assert.equal(recent.has("a"), true);
  await clock.advance(200);
  assert.equal(recent.has("a"), false);
  assert.equal(recent.size, 0);
});
