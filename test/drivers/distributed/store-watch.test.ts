/** A store that goes away is told once, and once when it is back, however often its client fails meanwhile. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LOOK_AWAY_MS, LOOK_WELL_MS, createStoreWatch } from "@posthaste/shared/drivers/distributed/store-watch.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";

function openWatch() {
  const clock = createManualClock(0);
  const told: string[] = [];
  const state = { answer: Promise.resolve(null) as Promise<string | null>, looks: 0 };
  const watch = createStoreWatch({
    name: "Redis",
    clock,
    check() {
      state.looks++;
      return state.answer;
    },
    events: {
      away: (why) => told.push(`away: ${why}`),
      back: (awayMs, faults) => told.push(`back after ${awayMs} with ${faults}`),
      fault: (error) => told.push(`fault: ${String(error)}`),
    },
  });
  return { clock, told, state, watch };
}

test("a thousand faults of a store that is away are one line, and one more when it is back", async () => {
  const { clock, told, state, watch } = openWatch();
  state.answer = Promise.resolve("Redis does not answer.");
  for (let fault = 0; fault < 1000; fault++) watch.suspect(new Error("ECONNREFUSED"));
  await clock.settle();
  assert.deepEqual(told, ["away: Redis does not answer."]);
  watch.suspect(new Error("ECONNREFUSED"));
  await clock.advance(30 * LOOK_AWAY_MS);
  assert.equal(told.length, 1);
  state.answer = Promise.resolve(null);
  await clock.advance(LOOK_AWAY_MS);
  assert.deepEqual(told.slice(1), ["back after 31000 with 1001"]);
  watch[Symbol.dispose]();
});

test("a fault of a store that answers is told as what it is", async () => {
  const { clock, told, watch } = openWatch();
  watch.suspect(new Error("a script failed"));
  await clock.settle();
  assert.deepEqual(told, ["fault: Error: a script failed"]);
  watch[Symbol.dispose]();
});

test("an idle process notices by itself, also a store that hangs", async () => {
  const { clock, told, state, watch } = openWatch();
  state.answer = new Promise(() => undefined);
  await clock.advance(LOOK_WELL_MS + 2000);
  assert.deepEqual(told, ["away: Redis did not answer within 2000 ms."]);
  watch[Symbol.dispose]();
});

test("one that goes and comes again and again is told each time, and counts from anew", async () => {
  const { clock, told, state, watch } = openWatch();
  for (let round = 0; round < 2; round++) {
    state.answer = Promise.resolve("Redis does not answer.");
    watch.suspect(new Error("x"));
    await clock.settle();
    state.answer = Promise.resolve(null);
    await clock.advance(LOOK_AWAY_MS);
  }
  assert.deepEqual(told, [
    "away: Redis does not answer.",
    "back after 1000 with 1",
    "away: Redis does not answer.",
    "back after 1000 with 1",
  ]);
  watch[Symbol.dispose]();
});

test("after its end nothing is told and no timer is left", async () => {
  const { clock, told, state, watch } = openWatch();
  state.answer = Promise.resolve("Redis does not answer.");
  watch.suspect(new Error("x"));
  watch[Symbol.dispose]();
  watch.suspect(new Error("y"));
  await clock.advance(60_000);
  assert.deepEqual(told, []);
  assert.equal(clock.timerCount(), 0);
});
