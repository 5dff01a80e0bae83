/** A stall is silence while something waits, and neither a long queue that moves nor a process that stood still. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createStallWatch } from "@posthaste/shared/lib/stall-watch.ts";
import { createManualClock } from "../support/clocks/manual-clock.ts";

const STALL_MS = 500;

function openWatch() {
  const clock = createManualClock(0);
  const told: string[] = [];
  const watch = createStallWatch(clock, () => STALL_MS);
  return { clock, told, begin: (name: string) => watch.begin(() => void told.push(name)) };
}

test("all that wait are told once nothing has come back for the time of the watch", async () => {
  const { clock, told, begin } = openWatch();
  begin("a");
  await clock.advance(300);
  begin("b");
  await clock.advance(199);
  assert.deepEqual(told, []);
  await clock.advance(1);
  assert.deepEqual(told, ["a", "b"]);
  await clock.advance(10_000);
  assert.deepEqual(told, ["a", "b"]);
});

test("a queue that moves has not stalled, however long its last one waits", async () => {
  const { clock, told, begin } = openWatch();
  begin("last");
  for (let turn = 0; turn < 20; turn++) {
    const end = begin("one");
    await clock.advance(400);
    end(true);
  }
  assert.deepEqual(told, []);
  await clock.advance(499);
  assert.deepEqual(told, []);
  await clock.advance(1);
  assert.deepEqual(told, ["last"]);
});

test("what ended without an answer says nothing of the others", async () => {
  const { clock, told, begin } = openWatch();
  const end = begin("failed");
  begin("waits");
  await clock.advance(400);
  end(false);
  await clock.advance(100);
  assert.deepEqual(told, ["waits"]);
});

test("who comes after a silence has the whole time", async () => {
  const { clock, told, begin } = openWatch();
  begin("a")(true);
  await clock.advance(60_000);
  begin("b");
  await clock.advance(499);
  assert.deepEqual(told, []);
  await clock.advance(1);
  assert.deepEqual(told, ["b"]);
});

test("after a standstill of this process the answers have their time once more", async () => {
  let nowMs = 0;
  let ring: () => void = () => undefined;
  const told: string[] = [];
  const watch = createStallWatch(
    {
      monotonic: () => nowMs,
      timer(_ms, callback) {
        ring = callback;
        return () => (ring = () => undefined);
      },
    },
    () => STALL_MS,
  );
  const ringAt = (ms: number): void => {
    nowMs = ms;
    ring();
  };
  const end = watch.begin(() => void told.push("a"));
  ringAt(60_000);
  assert.equal(told.length, 0);
  end(true);
  watch.begin(() => void told.push("b"));
  ringAt(60_500);
  assert.deepEqual(told, ["b"]);
});
