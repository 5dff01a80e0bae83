import assert from "node:assert/strict";
import { test } from "node:test";
import { createWindow } from "@posthaste/processor/intake/window.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";

const clock = createManualClock(0);

function open(itemsMax = 3, bytesMax = 100) {
  const window = createWindow({ itemsMax, bytesMax, perFree: 8 }, () => undefined);
  const stop = new AbortController();
  return { window, stop };
}

const item = (bytes: number) => ({ tenant: "acme", flow: 1, bytes });

/** What `room` resolved with so far; null while it waits. */
function ask({ window, stop }: ReturnType<typeof open>): { granted: number | null } {
  const answer: { granted: number | null } = { granted: null };
  const wait = async (): Promise<void> => {
    answer.granted = await window.room(stop.signal);
  };
  void wait();
  return answer;
}

test("an empty window has room for all its items", async () => {
  const { window, stop } = open();
  assert.equal(await window.room(stop.signal), 3);
});

test("held items take room, freed ones give it back", async () => {
  const { window, stop } = open();
  const place = window.hold(item(10));
  window.hold(item(10));
  assert.deepEqual([await window.room(stop.signal), window.count()], [1, 2]);
  place.free();
  assert.deepEqual([await window.room(stop.signal), window.count()], [2, 1]);
});

test("a full window makes its waiter wait until an item is freed", async () => {
  const opened = open(1);
  const place = opened.window.hold(item(10));
  const answer = ask(opened);
  await clock.settle();
  assert.deepEqual([answer.granted, opened.window.isFull()], [null, true]);
  place.free();
  await clock.settle();
  assert.equal(answer.granted, 1);
});

test("a window full of bytes makes its waiter wait, though items would fit", async () => {
  const opened = open(10, 100);
  const place = opened.window.hold(item(60));
  opened.window.hold(item(60));
  const answer = ask(opened);
  await clock.settle();
  assert.equal(answer.granted, null);
  place.free();
  await clock.settle();
  assert.equal(answer.granted, 9);
});

test("an item larger than the window comes in when the window is empty", async () => {
  const { window, stop } = open(2, 100);
  assert.equal(await window.room(stop.signal), 2);
  const place = window.hold(item(5000));
  assert.equal(window.isFull(), true);
  place.free();
  assert.equal(window.isFull(), false);
});

test("a stop wakes the waiter with no room", async () => {
  const opened = open(1);
  opened.window.hold(item(10));
  const answer = ask(opened);
  opened.stop.abort();
  await clock.settle();
  assert.equal(answer.granted, 0);
});

test("after a stop there is no room, though the window be empty", async () => {
  const { window, stop } = open();
  stop.abort();
  assert.equal(await window.room(stop.signal), 0);
});

test("an item weighs as many as there are deliveries of it, and room comes back as they end", async () => {
  const opened = open(10);
  const place = opened.window.hold(item(1));
  place.weigh(10);
  const answer = ask(opened);
  await clock.settle();
  assert.deepEqual([answer.granted, opened.window.count()], [null, 10]);
  place.weigh(7);
  await clock.settle();
  assert.equal(answer.granted, 3);
  place.free();
  assert.equal(opened.window.count(), 0);
});

test("an item of more deliveries than the window holds fills it alone, and blocks it for no longer", () => {
  const { window } = open(10);
  const place = window.hold(item(1));
  place.weigh(1000);
  assert.equal(window.isFull(), true);
  place.free();
  assert.deepEqual([window.isFull(), window.count()], [false, 0]);
});
