/** The rule for the fuzzer's memory: what it must let pass, and what it must not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Census } from "./fuzz-subject.ts";
import { memoryFaults } from "./memory-rule.ts";

const REQUESTS = 100_000;
const RECENT = "map shared/lib/recent-set.ts:60";
const WINDOW = "map shared/drivers/partitioned/window/offset-window.ts:47";
const TURNS = "map shared/drivers/partitioned/delay-topics/turns.ts:25";
const OTHER = "map processor/delivery/completed.ts:32";

interface Sizes {
  readonly objects?: number;
  readonly held?: Readonly<Record<string, number>>;
}

/** Twenty, each as `sizes` says by the requests so far, on top of what every program has. */
function run(sizes: (done: number, index: number) => Sizes): Census[] {
  return Array.from({ length: 20 }, (_, index) => {
    const { objects = 0, held = {} } = sizes(((index + 1) * REQUESTS) / 20, index);
    return { objectCount: 140_000 + objects, objectTypeCounts: {}, held, heapUsed: 0, rss: 0 };
  });
}

test("caches that fill up and are halved, windows that swing and bursts of work pass", () => {
  const censuses = run((done, index) => {
    const recent = (done * 1.5) % 60_000;
    const window = index % 2 === 0 ? 2500 : 12_000;
    const burst = index % 5 === 0 ? 40_000 : 0;
    const held = { [RECENT]: recent, [WINDOW]: window, [OTHER]: burst / 20 };
    return { objects: recent + window * 13 + burst, held };
  });
  assert.deepEqual(memoryFaults(censuses, REQUESTS), []);
});

test("an object of each request is seen under all of that, and one of three requests", () => {
  for (const [share, more] of [
    [1, 50_000],
    [1 / 3, 16_667],
  ] as const) {
    const censuses = run((done, index) => {
      const window = index % 2 === 0 ? 2500 : 12_000;
      return { objects: Math.round(done * share) + window * 13, held: { [WINDOW]: window } };
    });
    const faults = memoryFaults(censuses, REQUESTS);
    assert.deepEqual(faults, [`${more} objects more in the last quarter than in the second, 15000 at most`]);
  }
});

test("a map that keeps one of twenty requests is named, and so is a window that keeps one of five", () => {
  for (const [place, share] of [
    [OTHER, 1 / 20],
    [WINDOW, 1 / 5],
    [TURNS, 1 / 5],
  ] as const) {
    const censuses = run((done) => ({ held: { [place]: done * share } }));
    const faults = memoryFaults(censuses, REQUESTS).filter((fault) => fault.includes("entries"));
    const file = place.slice("map ".length, place.lastIndexOf(":"));
    assert.deepEqual(faults, [
      `${file} holds ${(REQUESTS / 2) * share} entries more in the last quarter than in the second`,
    ]);
  }
});

test("a batch whose deliveries are deferred until a short run is over passes, and a map that keeps as many does not", () => {
  const held = (place: string) => run((_, index) => ({ held: { [place]: index < 12 ? 0 : 1022 } }));
  for (const place of [WINDOW, TURNS]) assert.deepEqual(memoryFaults(held(place), 1000), []);
  assert.equal(memoryFaults(held(OTHER), 1000).length, 1);
});

test("a cache past its bound is named", () => {
  const censuses = run((done) => ({ objects: done * 3, held: { [RECENT]: done * 3 } }));
  assert.deepEqual(memoryFaults(censuses, REQUESTS), ["shared/lib/recent-set.ts holds 300000 entries, 222000 at most"]);
});
