/** Scripts that go through lists take turns, and leave Redis as long to everything else. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RedisCommands, RedisScript } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { LIST_DEAD_LETTERS } from "@posthaste/shared/drivers/redis/dead-letters/scripts.ts";
import { LIST_DELIVERIES, LIST_EVENTS, READ_EVENT } from "@posthaste/shared/drivers/redis/ledger/read-scripts.ts";
import { LIST_PAUSE_MS_MAX, withListTurns } from "@posthaste/shared/drivers/redis/list-turns.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { START_MS } from "../../support/samples.ts";

/** A Redis whose answers come when they are told to; `begun` has the scripts that it was asked for. */
function openTurns() {
  const clock = createManualClock(START_MS);
  const begun: RedisScript[] = [];
  const answers: { resolve: (reply: null) => void; reject: (error: Error) => void }[] = [];
  const run: RedisCommands["run"] = (script) => {
    begun.push(script);
    return new Promise((resolve, reject) => void answers.push({ resolve, reject }));
  };
  const commands = withListTurns({ run } as RedisCommands, clock);
  return { clock, begun, answers, run: (script: RedisScript) => commands.run(script, [], []) };
}

test("a list's script begins when the one before has ended and Redis had as long for everything else", async () => {
  const { clock, begun, answers, run } = openTurns();
  const first = run(LIST_EVENTS);
  void run(LIST_DELIVERIES);
  void run(LIST_DEAD_LETTERS);
  await clock.advance(7);
  assert.deepEqual(begun, [LIST_EVENTS]);
  answers[0]?.resolve(null);
  assert.equal(await first, null);
  await clock.advance(6);
  assert.deepEqual(begun, [LIST_EVENTS]);
  await clock.advance(1);
  assert.deepEqual(begun, [LIST_EVENTS, LIST_DELIVERIES]);
});

test("what is no list waits for none", async () => {
  const { clock, begun, run } = openTurns();
  void run(LIST_EVENTS);
  void run(READ_EVENT);
  await clock.settle();
  assert.deepEqual(begun, [LIST_EVENTS, READ_EVENT]);
});

test("a list that failed late keeps the next one waiting no longer than the bound", async () => {
  const { clock, begun, answers, run } = openTurns();
  const failing = run(LIST_EVENTS);
  void run(LIST_EVENTS);
  await clock.advance(2000);
  answers[0]?.reject(new Error("gone"));
  await assert.rejects(failing, /gone/);
  await clock.advance(LIST_PAUSE_MS_MAX - 1);
  assert.equal(begun.length, 1);
  await clock.advance(1);
  assert.equal(begun.length, 2);
});
