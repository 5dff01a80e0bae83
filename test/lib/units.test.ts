import assert from "node:assert/strict";
import { test } from "node:test";
import { Units } from "@posthaste/shared/lib/units.ts";

const NEVER = new AbortController().signal;

/** What has been taken so far, by name, in order. */
function createTakers(units: Units) {
  const taken: string[] = [];
  return {
    taken,
    async take(name: string, count: number, signal = NEVER): Promise<void> {
      taken.push(`${name} ${await units.take(count, signal)}`);
    },
  };
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

test("no more units are taken than there are, and a heavy one is not passed by light ones", async () => {
  const units = new Units(4);
  const { taken, take } = createTakers(units);
  for (const [name, count] of [
    ["a", 1],
    ["b", 2],
    ["all", 4],
    ["c", 1],
  ] as const)
    void take(name, count);
  await settle();
  assert.deepEqual(taken, ["a true", "b true"]);
  units.give(1);
  await settle();
  assert.deepEqual(taken, ["a true", "b true"]);
  units.give(2);
  await settle();
  assert.deepEqual(taken, ["a true", "b true", "all true"]);
  units.give(4);
  await settle();
  assert.deepEqual(taken.at(-1), "c true");
});

test("no units are always there", async () => {
  const units = new Units(1);
  await units.take(1, NEVER);
  assert.equal(await units.take(0, NEVER), true);
});

test("an abort ends a wait, and lets those behind it through", async () => {
  const units = new Units(2);
  const { taken, take } = createTakers(units);
  const stop = new AbortController();
  void take("a", 1);
  void take("all", 2, stop.signal);
  void take("b", 1);
  await settle();
  stop.abort();
  await settle();
  assert.deepEqual(taken, ["a true", "all false", "b true"]);
  assert.equal(await units.take(1, stop.signal), false);
});
