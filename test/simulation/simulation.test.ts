/** The product in simulated worlds: `POSTHASTE_FULL=1` for ten thousand of them. A seed that once failed is kept below. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runWorld } from "./world.ts";

const isFull = process.env["POSTHASTE_FULL"] === "1";
const TESTS = 10;
const SEEDS_EACH = isFull ? 1000 : 30;

/** Found and repaired, each for the reason beside it; the worlds they draw change when the scenario does. */
const KEPT_SEEDS = [
  1, // the first wait of a retry policy was skipped
  92, // a graceful stop repeated what was parked, for the sake of the event's other endpoints
  180, // a replay whose answer was lost
  227, // a crash between postponing an event and its ack
] as const;

async function assertKept(seed: number): Promise<void> {
  const { breaches, tail } = await runWorld(seed);
  assert.deepEqual(breaches, [], `SEED=${seed}\n${tail.join("\n")}`);
}

for (let index = 0; index < TESTS; index++) {
  const from = 10_001 + index * SEEDS_EACH;
  test(
    `every promise is kept in the worlds of seeds ${from} to ${from + SEEDS_EACH - 1}`,
    { timeout: 600_000 },
    async () => {
      for (let seed = from; seed < from + SEEDS_EACH; seed++) await assertKept(seed);
    },
  );
}

for (const seed of KEPT_SEEDS) {
  test(`every promise is kept in the world of seed ${seed}, which once was not`, async () => {
    await assertKept(seed);
  });
}

test("the same seed makes the same world, step for step", async () => {
  for (const seed of [7, 77, 777]) {
    const [first, second] = [await runWorld(seed), await runWorld(seed)];
    assert.equal(second.hash, first.hash);
    assert.equal(second.steps, first.steps);
  }
});

test("another seed makes another world", async () => {
  const [first, second] = [await runWorld(8), await runWorld(9)];
  assert.notEqual(second.hash, first.hash);
});

test("worlds hold crashes, stops and failing disks, and events enough to matter", async () => {
  let [events, attempts, processes] = [0, 0, 0];
  for (let seed = 1; seed <= 20; seed++) {
    const world = await runWorld(seed);
    events += world.events;
    attempts += world.attempts;
    processes += world.processes;
  }
  assert.ok(
    events >= 20 * 20 && attempts > events && processes > 30,
    `${events} events, ${attempts} attempts, ${processes} processes`,
  );
});
