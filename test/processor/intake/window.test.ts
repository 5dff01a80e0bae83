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

/** How many of one flow after the other are let in. */
function fill(window: ReturnType<typeof createWindow>, tenant: string, flow: number): number {
  let count = 0;
  while (window.isOpen({ tenant, flow })) {
    window.hold({ tenant, flow, bytes: 1 });
    count += 1;
  }
  return count;
}

test("one flow alone gets eight seventeenths of the window, and whoever holds nothing still gets in", () => {
  const { window } = open(1024, 1_000_000);
  assert.equal(fill(window, "big", 1), 482);
  assert.equal(window.isOpen({ tenant: "big", flow: 2 }), true);
  assert.equal(window.isOpen({ tenant: "small", flow: 1 }), true);
});

test("a tenant with a thousand flows leaves others a ninth of the window", () => {
  const { window } = open(1024, 1_000_000);
  for (let flow = 0; flow < 1000; flow++) fill(window, "big", flow);
  assert.ok(window.count() <= 912, `${window.count()}`);
  assert.equal(window.isOpen({ tenant: "big", flow: 2000 }), false);
  assert.ok(fill(window, "small", 1) >= 50);
});

test("bytes are shared as items are", () => {
  const { window } = open(1024, 1000);
  window.hold({ tenant: "big", flow: 1, bytes: 500 });
  assert.deepEqual(
    [window.isOpen({ tenant: "big", flow: 1 }), window.isOpen({ tenant: "small", flow: 1 })],
    [false, true],
  );
});

test("one take is given no more of a flow than there is room for", () => {
  const { window } = open(1024, 1_000_000);
  const admits = window.admission();
  let count = 0;
  while (admits("big", 1)) count += 1;
  assert.equal(count, 482);
  assert.deepEqual([admits("small", null), admits("small", 1)], [true, true]);
});

test("who was refused is told when less is held", () => {
  let told = 0;
  const window = createWindow({ itemsMax: 8, bytesMax: 100, perFree: 8 }, () => void (told += 1));
  const places = Array.from({ length: 4 }, () => window.hold(item(1)));
  places[0]?.free();
  assert.equal(told, 0);
  window.hold(item(1));
  assert.equal(window.isOpen(item(1)), false);
  places[1]?.free();
  assert.equal(told, 1);
});

test("what is not let in yet counts as much as the last item of its flow became", () => {
  const { window } = open(1024, 1e6);
  const first = window.hold(item(10));
  first.weigh(1000);
  first.weigh(900);
  first.free();
  const admits = window.admission();
  assert.deepEqual([admits("acme", 1), admits("acme", 1)], [true, false]);
  assert.equal(admits("umbrella", 1), true, "who holds nothing gets in beside it");
  const narrow = window.hold(item(10));
  narrow.weigh(1);
  narrow.free();
  const later = window.admission();
  assert.deepEqual([later("acme", 1), later("acme", 1)], [true, true], "the last one had one delivery");
});
