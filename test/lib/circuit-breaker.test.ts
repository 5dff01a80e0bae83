import assert from "node:assert/strict";
import { test } from "node:test";
import type { CircuitBreaker } from "@posthaste/shared/lib/circuit-breaker.ts";
import { createCircuitBreaker } from "@posthaste/shared/lib/circuit-breaker.ts";
import fc from "fast-check";

const settings = { failuresToOpen: 3, probeAfterMs: 100, probeAfterMsMax: 350 };

/** Opens a new breaker at `nowMs`. */
function openedAt(nowMs: number): CircuitBreaker {
  const breaker = createCircuitBreaker(settings);
  for (let failure = 0; failure < settings.failuresToOpen; failure++) breaker.fail(nowMs);
  return breaker;
}

test("a new breaker is closed and lets every call pass", () => {
  const breaker = createCircuitBreaker(settings);
  assert.deepEqual(
    [breaker.state(), breaker.permits(0), breaker.permits(0), breaker.probeAtMs()],
    ["closed", true, true, 0],
  );
});

test("it opens at the failure that completes the row, and says so once", () => {
  const breaker = createCircuitBreaker(settings);
  assert.deepEqual(
    [1, 2, 3, 4].map((nowMs) => breaker.fail(nowMs)),
    [false, false, true, false],
  );
  assert.equal(breaker.probeAtMs(), 103);
});

test("a success between failures begins the row anew", () => {
  const breaker = createCircuitBreaker(settings);
  breaker.fail(0);
  breaker.fail(0);
  assert.equal(breaker.succeed(), false);
  assert.deepEqual([breaker.fail(0), breaker.fail(0), breaker.fail(0)], [false, false, true]);
});

test("open, no call passes before the probe is due, and then exactly one", () => {
  const breaker = openedAt(0);
  assert.deepEqual(
    [0, 99, 100, 100, 1_000_000].map((nowMs) => breaker.permits(nowMs)),
    [false, false, true, false, false],
  );
});

test("isPassable() foretells permits() and changes nothing", () => {
  const breaker = openedAt(0);
  assert.deepEqual([breaker.isPassable(99), breaker.isPassable(100), breaker.isPassable(100)], [false, true, true]);
  assert.equal(breaker.state(), "open");
  assert.deepEqual([breaker.permits(100), breaker.isPassable(100)], [true, false]);
});

test("a probe that succeeds closes it, and the next wait is the first again", () => {
  const breaker = openedAt(0);
  breaker.permits(100);
  breaker.fail(100);
  breaker.permits(300);
  assert.deepEqual([breaker.succeed(), breaker.state(), breaker.probeAtMs()], [true, "closed", 0]);
  for (let failure = 0; failure < 3; failure++) breaker.fail(1000);
  assert.equal(breaker.probeAtMs(), 1100);
});

test("each probe that fails doubles the wait, up to its maximum", () => {
  const breaker = openedAt(0);
  const waits: number[] = [];
  for (let nowMs = breaker.probeAtMs(); waits.length < 4; nowMs = breaker.probeAtMs()) {
    assert.equal(breaker.permits(nowMs), true);
    assert.equal(breaker.fail(nowMs), true);
    waits.push(breaker.probeAtMs() - nowMs);
  }
  assert.deepEqual(waits, [200, 350, 350, 350]);
});

test("a probe that tells nothing may be made again at once, and doubles nothing", () => {
  const breaker = openedAt(0);
  breaker.permits(100);
  breaker.forget();
  assert.deepEqual([breaker.state(), breaker.permits(101), breaker.permits(101)], ["open", true, false]);
  breaker.fail(101);
  assert.equal(breaker.probeAtMs(), 301);
});

test("a late success of a call from before it opened does not close it", () => {
  const breaker = openedAt(0);
  assert.deepEqual([breaker.succeed(), breaker.state(), breaker.permits(50)], [false, "open", false]);
});

test("a late failure of a call from before it opened puts off no probe", () => {
  const breaker = openedAt(0);
  breaker.fail(90);
  assert.deepEqual([breaker.probeAtMs(), breaker.permits(100)], [100, true]);
});

/** What a breaker must remember, in the words of its promise; `row` counts failures since the last success. */
interface Model {
  nowMs: number;
  state: "closed" | "open" | "half-open";
  row: number;
  waitMs: number;
  probeAtMs: number;
}

/** Asks for a call `waitMs` after what came before. */
function ask(waitMs: number): fc.Command<Model, CircuitBreaker> {
  return {
    check: () => true,
    run(model, breaker) {
      model.nowMs += waitMs;
      const isDue = model.state === "open" && model.nowMs >= model.probeAtMs;
      const isGranted = model.state === "closed" || isDue;
      assert.equal(breaker.isPassable(model.nowMs), isGranted);
      assert.equal(breaker.permits(model.nowMs), isGranted);
      if (isDue) model.state = "half-open";
      assert.equal(breaker.state(), model.state);
    },
    toString: () => `ask after ${waitMs}`,
  };
}

/** Ends a call, also one from before the breaker opened. */
function end(how: "succeed" | "fail" | "forget"): fc.Command<Model, CircuitBreaker> {
  return {
    check: () => true,
    run(model, breaker) {
      const wasHalfOpen = model.state === "half-open";
      if (how === "succeed") {
        assert.equal(breaker.succeed(), wasHalfOpen);
        model.row = 0;
        if (wasHalfOpen) Object.assign(model, { state: "closed", waitMs: settings.probeAfterMs, probeAtMs: 0 });
      } else if (how === "fail") {
        model.row += 1;
        const opens = wasHalfOpen || (model.state === "closed" && model.row >= settings.failuresToOpen);
        assert.equal(breaker.fail(model.nowMs), opens);
        if (wasHalfOpen) model.waitMs = Math.min(model.waitMs * 2, settings.probeAfterMsMax);
        if (opens) Object.assign(model, { state: "open", probeAtMs: model.nowMs + model.waitMs });
      } else {
        breaker.forget();
        if (wasHalfOpen) model.state = "open";
      }
      assert.deepEqual([breaker.state(), breaker.probeAtMs()], [model.state, model.probeAtMs]);
    },
    toString: () => how,
  };
}

test("whatever calls come and end in whatever way, it does what its promise says", () => {
  const anyCommand = [
    fc.integer({ min: 0, max: 250 }).map(ask),
    fc.constantFrom("succeed" as const, "fail" as const, "fail" as const, "forget" as const).map(end),
  ];
  fc.assert(
    fc.property(fc.commands(anyCommand, { maxCommands: 60 }), (commands) => {
      const model: Model = { nowMs: 0, state: "closed", row: 0, waitMs: settings.probeAfterMs, probeAtMs: 0 };
      fc.modelRun(() => ({ model, real: createCircuitBreaker(settings) }), commands);
    }),
    { numRuns: 300 },
  );
});
