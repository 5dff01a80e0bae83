import assert from "node:assert/strict";
import { test } from "node:test";
import { createCompany } from "@posthaste/shared/lib/company.ts";
import { HAND_MAX, createHands } from "@posthaste/processor/intake/queue-items.ts";

/** Turns of an event loop by hand; what a loop begins takes `handMs`. */
function openTurns(handMs: number) {
  let next: (() => void)[] = [];
  let nowMs = 0;
  const clock = { soon: (callback: () => void) => void next.push(callback), monotonic: () => nowMs };
  const hands = createHands(clock, { isMixed: () => false });
  const order: string[] = [];
  return {
    order,
    /** Takes a full hand, and so often again. */
    async loop(name: string, times = 1): Promise<void> {
      for (let time = 0; time < times; time++) {
        await hands.taken(HAND_MAX.alone);
        order.push(name);
        nowMs += handMs;
      }
    },
    async turn(): Promise<void> {
      const due = next;
      next = [];
      for (const callback of due) {
        callback();
        // What was woken goes on before the next callback.
        for (let step = 0; step < 5; step++) await Promise.resolve();
      }
      order.push("|");
    },
  };
}

test("of loops whose hands take long one goes on in each turn of the event loop, the first one first", async () => {
  const { loop, turn, order } = openTurns(1);
  for (const name of ["a", "b", "c"]) void loop(name, 2);
  for (let count = 0; count < 7; count++) await turn();
  assert.equal(order.join(""), "a|b|c|a|b|c||");
  void loop("later");
  await turn();
  assert.equal(order.at(-2), "later");
});

test("loops whose hands take little all go on in one turn, each once", async () => {
  const { loop, turn, order } = openTurns(0.3);
  for (const name of ["a", "b", "c"]) void loop(name, 3);
  for (let count = 0; count < 4; count++) await turn();
  assert.equal(order.join(""), "abc|abc|abc||");
});

test("of many loops only so many go on in one turn as have time", async () => {
  const { loop, turn, order } = openTurns(0.3);
  for (const name of ["a", "b", "c", "d", "e", "f"]) void loop(name);
  await turn();
  await turn();
  assert.equal(order.join(""), "abcd|ef|");
});

test("a loop whose hand was not full goes on at once", async () => {
  const hands = createHands({ soon: () => assert.fail("nobody waits"), monotonic: () => 0 }, { isMixed: () => false });
  await hands.taken(HAND_MAX.alone - 1);
});

test("a hand is small while more than one tenant has something to do, and for a second after", () => {
  let nowMs = 0;
  const company = createCompany({ monotonic: () => nowMs });
  const hands = createHands({ soon: (callback) => callback(), monotonic: () => nowMs }, company);
  const maxAfter = (tenant: string): number => {
    company.met(tenant);
    return hands.max();
  };
  assert.equal(maxAfter("acme"), HAND_MAX.alone);
  assert.equal(maxAfter("acme"), HAND_MAX.alone);
  assert.equal(maxAfter("bell"), HAND_MAX.beside);
  nowMs = 999;
  assert.equal(maxAfter("bell"), HAND_MAX.beside);
  nowMs = 1000;
  assert.equal(maxAfter("bell"), HAND_MAX.alone);
  assert.ok(HAND_MAX.beside < HAND_MAX.alone);
});
