/** Who was put off for want of a slot, and whose turn it is when one is given back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PutOff } from "@posthaste/processor/endpoint/shortage.ts";
import { createShortage } from "@posthaste/processor/endpoint/shortage.ts";
import { noneHeld } from "@posthaste/processor/endpoint/slots.ts";

interface Waiter extends PutOff {
  readonly name: string;
  deferred: number;
  mayCome: boolean;
}

function openShortage() {
  const called: string[] = [];
  let nowMs = 0;
  const noSlotFor = new Set<string>();
  const shortage = createShortage<Waiter>(
    { monotonic: () => nowMs },
    { isFree: (_lane, holder) => !noSlotFor.has((holder as Waiter).name) },
  );
  const waiterOf = (name: string, tenant = "acme"): Waiter => ({
    name,
    tenant,
    deferred: 10,
    mayCome: true,
    held: noneHeld(),
    standing: () => "unknown",
    hasDeferred() {
      return this.deferred > 0;
    },
    callOne() {
      if (!this.mayCome) return false;
      this.deferred -= 1;
      called.push(name);
      return true;
    },
  });
  return { shortage, called, noSlotFor, waiterOf, pass: (ms: number) => void (nowMs += ms) };
}

test("each slot that is given back calls one, endpoints in turn", () => {
  const { shortage, called, waiterOf } = openShortage();
  for (const name of ["a", "b", "c"]) shortage.putOff("medium", waiterOf(name), 0);
  for (let count = 0; count < 4; count++) shortage.givenBack("acme");
  assert.deepEqual(called, ["a", "b", "c", "a"]);
});

test("HIGH is called before MEDIUM, and nobody of another tenant", () => {
  const { shortage, called, waiterOf } = openShortage();
  shortage.putOff("medium", waiterOf("medium"), 0);
  shortage.putOff("high", waiterOf("other", "bell"), 0);
  const high = waiterOf("high");
  high.deferred = 1;
  shortage.putOff("high", high, 0);
  for (let count = 0; count < 3; count++) shortage.givenBack("acme");
  assert.deepEqual(called, ["high", "medium", "medium"]);
});

test("who has nothing put off any more is forgotten; who may not come, or finds no slot, is passed over, four at most", () => {
  const { shortage, called, noSlotFor, waiterOf } = openShortage();
  const [empty, silent, full, well] = ["empty", "silent", "full", "well"].map((name) => waiterOf(name));
  assert.ok(empty !== undefined && silent !== undefined && full !== undefined && well !== undefined);
  empty.deferred = 0;
  silent.mayCome = false;
  noSlotFor.add("full");
  for (const waiter of [empty, silent, full, well]) shortage.putOff("low", waiter, 0);
  shortage.givenBack("acme");
  assert.deepEqual(called, ["well"]);
  empty.deferred = 10;
  shortage.givenBack("acme");
  assert.deepEqual(called, ["well", "well"]);
  const more = ["x", "y", "z"].map((name) => waiterOf(name));
  for (const waiter of more) noSlotFor.add(waiter.name);
  for (const waiter of more) shortage.putOff("low", waiter, 0);
  // Before `well` stand silent, full, and then these three.
  shortage.putOff("low", waiterOf("last"), 0);
  well.deferred = 0;
  shortage.givenBack("acme");
  assert.deepEqual(called, ["well", "well"]);
});

test("by themselves they come back ten milliseconds apart, within half an hour", () => {
  const { shortage, waiterOf } = openShortage();
  const waiter = waiterOf("a");
  assert.deepEqual(
    [1000, 1000, 500, 5000].map((earliestMs) => shortage.putOff("low", waiter, earliestMs)),
    [1000, 1010, 1020, 5000],
  );
  assert.equal(shortage.putOff("high", waiter, 1000), 1000);
  for (let count = 0; count < 200_000; count++) shortage.putOff("low", waiter, 5000);
  assert.equal(shortage.putOff("low", waiter, 5000), 5000 + 30 * 60 * 1000);
});

test("a tenant counts as short for ten seconds after one of it was found waiting, in that lane", () => {
  const { shortage, pass } = openShortage();
  shortage.found("low", "acme");
  pass(9999);
  assert.deepEqual([shortage.isShort("low", "acme"), shortage.isShort("high", "acme")], [true, false]);
  pass(1);
  assert.equal(shortage.isShort("low", "acme"), false);
});

test("ten thousand endpoints of a tenant are remembered, the latest", () => {
  const { shortage, called, waiterOf } = openShortage();
  for (let index = 0; index <= 10_000; index++) shortage.putOff("low", waiterOf(String(index)), 0);
  shortage.givenBack("acme");
  assert.deepEqual(called, ["1"]);
});
