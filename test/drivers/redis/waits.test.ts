/** Calls that wait for Redis: who is given up when nothing comes back, who waits on, and what a silence leaves behind. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createWaits } from "@posthaste/shared/drivers/redis/client/ioredis-waits.ts";
import { LAST_WAY_SILENCE_MS, STALL_MS } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";

const FULL_MS = 2000;

function openWaits() {
  const clock = createManualClock(0);
  const told: string[] = [];
  const waits = createWaits(clock, FULL_MS);
  const add = (name: string, silenceMsMax: number) =>
    waits.add({
      silenceMsMax,
      expire: () => void told.push(`${name} expired`),
      giveUp: () => void told.push(`${name} given up`),
    });
  const advance = async (ms: number): Promise<void> => {
    await clock.advance(ms);
    await clock.settle();
  };
  return { clock, told, waits, add, advance };
}

test("after a silence all with another way are given up at once, the last way later, and the others have their time", async () => {
  const { told, waits, add, advance } = openWaits();
  add("patient", Infinity);
  await advance(100);
  add("hedged", STALL_MS);
  add("last way", LAST_WAY_SILENCE_MS);
  await advance(STALL_MS - 101);
  assert.deepEqual([told, waits.isSilentFor(STALL_MS)], [[], false]);
  await advance(1);
  assert.deepEqual([told, waits.isSilentFor(STALL_MS)], [["hedged given up"], true]);
  assert.equal(waits.isSilentFor(LAST_WAY_SILENCE_MS), false);
  await advance(LAST_WAY_SILENCE_MS - STALL_MS);
  assert.deepEqual(told, ["hedged given up", "last way given up"]);
  await advance(FULL_MS - LAST_WAY_SILENCE_MS);
  assert.deepEqual(told.slice(2), ["patient expired"]);
  await advance(100);
  // What was given up goes on, and has its time as well.
  assert.deepEqual(told.slice(3), ["hedged expired", "last way expired"]);
  assert.equal(waits.count(), 0);
});

test("as long as answers come nobody is given up, however long the last one waits", async () => {
  const { told, waits, add, advance } = openWaits();
  add("last", STALL_MS);
  for (let turn = 0; turn < 4; turn++) {
    const end = add("one", STALL_MS);
    await advance(STALL_MS - 1);
    end(true);
  }
  assert.deepEqual([told, waits.isSilentFor(STALL_MS)], [[], false]);
  await advance(STALL_MS - 1);
  assert.deepEqual(told, []);
  await advance(1);
  assert.deepEqual(told, ["last given up"]);
});

test("an answer to anybody ends the silence, an end without one does not", async () => {
  const { waits, add, advance } = openWaits();
  const [first, second] = [add("first", STALL_MS), add("second", STALL_MS)];
  add("third", STALL_MS);
  await advance(STALL_MS);
  first(false);
  assert.equal(waits.isSilentFor(STALL_MS), true);
  second(true);
  assert.equal(waits.isSilentFor(STALL_MS), false);
  await advance(STALL_MS - 1);
  assert.equal(waits.isSilentFor(STALL_MS), false);
  await advance(1);
  assert.equal(waits.isSilentFor(STALL_MS), true);
});

test("one that comes after all others have ended in silence asks, and is not held up by it", async () => {
  const { told, waits, add, advance } = openWaits();
  add("first", STALL_MS);
  await advance(FULL_MS);
  assert.deepEqual(told.splice(0), ["first given up", "first expired"]);
  // Nobody asks: so the next one does.
  assert.equal(waits.isSilentFor(STALL_MS), false);
  const end = add("next", STALL_MS);
  assert.equal(waits.isSilentFor(STALL_MS), true);
  await advance(1);
  assert.deepEqual(told.splice(0), ["next given up"]);
  end(true);
  add("after", STALL_MS);
  await advance(STALL_MS - 1);
  assert.deepEqual(told, []);
});

test("a connection that is there anew has its time", async () => {
  const { told, waits, add, advance } = openWaits();
  add("first", STALL_MS);
  await advance(STALL_MS);
  waits.restart();
  add("second", STALL_MS);
  assert.equal(waits.isSilentFor(STALL_MS), false);
  await advance(STALL_MS - 1);
  assert.deepEqual(told, ["first given up"]);
});

test("a process that stood still gives nobody up for it", async () => {
  const { clock, told, add, advance } = openWaits();
  add("hedged", STALL_MS);
  await clock.standStill(FULL_MS - 1);
  await clock.settle();
  assert.deepEqual(told, []);
  await advance(1);
  assert.deepEqual(told, ["hedged expired"]);
});

test("an answer that lay there when the time was over counts", async () => {
  const { clock, told, waits, add } = openWaits();
  let end = (_isAnswer: boolean): void => undefined;
  // Read in the turn of the event loop in which the timer rings.
  clock.timer(STALL_MS, () => clock.soon(() => end(true)));
  end = add("hedged", STALL_MS);
  await clock.advance(STALL_MS);
  await clock.settle();
  assert.deepEqual([told, waits.isSilentFor(STALL_MS)], [[], false]);
});

test("without anything that waits no timer runs, and stopping ends all", async () => {
  const { clock, told, waits, add, advance } = openWaits();
  add("answered", STALL_MS)(true);
  await advance(FULL_MS);
  assert.equal(clock.timerCount(), 0);
  add("stopped", Infinity);
  waits.expireAll();
  assert.deepEqual([told, clock.timerCount()], [["stopped expired"], 0]);
});
