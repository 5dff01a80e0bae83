/** Calls of one turn in one script: bounded, each with its own answer, and never behind one that hangs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { JOINED_BYTES_MAX, JOINED_CALLS_MAX, joinCalls } from "@posthaste/shared/drivers/redis/client/joined-calls.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";

function openJoined(options: { readonly isJoined: boolean; readonly hangs?: (item: number) => boolean }) {
  const clock = createManualClock(0);
  const scripts: [shard: number, items: readonly number[]][] = [];
  const call = joinCalls<number, number>({
    clock: options.isJoined ? clock : null,
    run: async (shard, items) => {
      scripts.push([shard, items]);
      if (items.some((item) => options.hangs?.(item) === true)) await new Promise(() => {});
      if (items.includes(-1)) throw new Error("refused");
      return items.map((item) => 10 * item);
    },
  });
  return { clock, call, scripts };
}

test("calls of one turn to one shard share a script, and each has its own answer", async () => {
  const { call, scripts } = openJoined({ isJoined: true });
  assert.deepEqual(await Promise.all([call(0, 1, 1), call(1, 2, 1), call(0, 3, 1)]), [10, 20, 30]);
  assert.deepEqual(scripts, [
    [0, [1, 3]],
    [1, [2]],
  ]);
});

test("a script that hangs delays nobody who comes after it", async () => {
  const { call, clock } = openJoined({ isJoined: true, hangs: (item) => item === 1 });
  void call(0, 1, 1);
  await clock.settle();
  assert.equal(await call(0, 2, 1), 20);
});

test("a script that fails fails its own calls, and no later ones", async () => {
  const { call } = openJoined({ isJoined: true });
  const results = await Promise.allSettled([call(0, 1, 1), call(0, -1, 1)]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ["rejected", "rejected"],
  );
  assert.equal(await call(0, 2, 1), 20);
});

test("one script carries a bounded number of calls, and of bytes", async () => {
  const { call, scripts } = openJoined({ isJoined: true });
  await Promise.all(Array.from({ length: JOINED_CALLS_MAX + 1 }, (_, item) => call(0, item, 1)));
  assert.deepEqual(
    scripts.map(([, items]) => items.length),
    [JOINED_CALLS_MAX, 1],
  );
  scripts.length = 0;
  await Promise.all([1, 2, 3].map((item) => call(0, item, JOINED_BYTES_MAX / 2)));
  assert.deepEqual(
    scripts.map(([, items]) => items),
    [[1, 2], [3]],
  );
});

test("without a clock no call is joined with another's", async () => {
  const { call, scripts } = openJoined({ isJoined: false });
  assert.deepEqual(await Promise.all([call(0, 1, 1), call(0, 2, 1)]), [10, 20]);
  assert.deepEqual(scripts, [
    [0, [1]],
    [0, [2]],
  ]);
});
