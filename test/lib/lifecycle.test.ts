import assert from "node:assert/strict";
import { test } from "node:test";
import { isAborted, supervise, SUPERVISION_DEFAULTS } from "@posthaste/shared/lib/lifecycle.ts";
import fc from "fast-check";
import { createManualClock } from "../support/clocks/manual-clock.ts";

interface Failure {
  readonly loop: string;
  readonly error: unknown;
  readonly waitMs: number;
}

function open(fraction = 0.5) {
  const clock = createManualClock(0);
  const failures: Failure[] = [];
  const stop = new AbortController();
  const supervision = {
    ...SUPERVISION_DEFAULTS,
    clock,
    entropy: { bytes: (count: number) => new Uint8Array(count), fraction: () => fraction },
    onFailure: (loop: string, error: unknown, waitMs: number) => void failures.push({ loop, error, waitMs }),
  };
  const start = (run: (signal: AbortSignal) => Promise<void>) => supervise("lane high", run, supervision, stop.signal);
  return { clock, failures, stop, start };
}

/** Runs until the signal is aborted, then rejects as waiting calls do. */
function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(new Error("aborted")), { once: true });
  });
}

test("a loop that goes on is left alone", async () => {
  const { clock, failures, stop, start } = open();
  let starts = 0;
  const ended = start((signal) => {
    starts += 1;
    return untilAborted(signal);
  });
  await clock.advance(3_600_000);
  assert.equal(starts, 1);
  stop.abort();
  await ended;
  assert.deepEqual(failures, []);
});

test("a loop that fails begins again after waits that double up to the maximum", async () => {
  const { clock, failures, stop, start } = open();
  const error = new Error("no store");
  const ended = start(() => Promise.reject(error));
  await clock.advance(60_000);
  assert.deepEqual(
    failures.map(({ waitMs }) => waitMs).slice(0, 9),
    [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000],
  );
  assert.ok(failures.every((failure) => failure.error === error && failure.loop === "lane high"));
  stop.abort();
  await ended;
});

test("the waits are those that were announced", async () => {
  const { clock, stop, start } = open();
  const startedAtMs: number[] = [];
  const ended = start(() => {
    startedAtMs.push(clock.monotonic());
    return Promise.reject(new Error("no store"));
  });
  await clock.advance(1500);
  assert.deepEqual(startedAtMs, [0, 100, 300, 700, 1500]);
  stop.abort();
  await ended;
});

test("chance spreads a wait from half of it to one and a half", async () => {
  await fc.assert(
    fc.asyncProperty(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), async (fraction) => {
      const { clock, failures, stop, start } = open(fraction);
      const ended = start(() => Promise.reject(new Error("no store")));
      await clock.advance(0);
      assert.ok(failures[0] !== undefined && failures[0].waitMs >= 50 && failures[0].waitMs <= 150);
      stop.abort();
      await ended;
    }),
    { numRuns: 20 },
  );
});

test("after a steady while the first wait is short again", async () => {
  const { clock, failures, stop, start } = open();
  let starts = 0;
  const ended = start(async (signal) => {
    starts += 1;
    if (starts === 4) await clock.sleep(SUPERVISION_DEFAULTS.steadyMs, signal);
    throw new Error("no store");
  });
  await clock.advance(70_000);
  assert.deepEqual(failures.map(({ waitMs }) => waitMs).slice(0, 6), [100, 200, 400, 100, 200, 400]);
  stop.abort();
  await ended;
});

test("a stop during a wait ends it at once", async () => {
  const { clock, failures, stop, start } = open();
  const ended = start(() => Promise.reject(new Error("no store")));
  await clock.advance(50);
  stop.abort();
  await ended;
  assert.deepEqual([failures.length, clock.monotonic(), clock.timerCount()], [1, 50, 0]);
});

test("what a loop throws because it was stopped is no failure", async () => {
  const { clock, failures, stop, start } = open();
  const ended = start(untilAborted);
  await clock.advance(10);
  stop.abort();
  await ended;
  assert.deepEqual(failures, []);
});

test("a loop that was stopped before it began never runs", async () => {
  const { failures, stop, start } = open();
  stop.abort();
  await start(() => Promise.reject(new Error("it ran")));
  assert.deepEqual(failures, []);
});

test("isAborted() reads the signal each time", () => {
  const controller = new AbortController();
  assert.equal(isAborted(controller.signal), false);
  controller.abort();
  assert.equal(isAborted(controller.signal), true);
});
