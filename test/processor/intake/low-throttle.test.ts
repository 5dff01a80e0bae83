/** LOW gives way while HIGH events come, at a pace that follows how late its own turns are. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  HIGH_ABOUT_MS,
  LATE_MS,
  LOW_BURST,
  LOW_PACE,
  createLowThrottle,
} from "@posthaste/processor/intake/low-throttle.ts";
import type { ManualClock } from "../../support/clocks/manual-clock.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";

const running = new AbortController().signal;
const noneWaits = { isEnough: () => false };

/** LOW events taken in `ms` while a HIGH event comes every so often; a turn is as late as `lateMs` says, by the pace. */
async function takenIn(
  clock: ManualClock,
  ms: number,
  lateMs: (perS: number) => number,
  highEveryMs = HIGH_ABOUT_MS / 2,
): Promise<number> {
  let last = 1;
  const sleep = (wait: number, signal: AbortSignal) => clock.sleep(wait + lateMs((last * 1000) / wait), signal);
  const slow = { ...clock, sleep };
  const lowThrottle = createLowThrottle(slow, noneWaits);
  const endAt = clock.monotonic() + ms;
  let taken = 0;
  const reader = (async () => {
    while (clock.monotonic() < endAt) {
      const count = await lowThrottle.turn(1000, running);
      lowThrottle.lowTaken(count, 0);
      last = count;
      taken += count;
    }
  })();
  for (let at = 0; at < ms; at += highEveryMs) {
    lowThrottle.highTaken();
    await clock.advance(highEveryMs);
  }
  await clock.advance(1000);
  await reader;
  return taken;
}

test("without HIGH events LOW takes all it asks for, at once", async () => {
  const clock = createManualClock(0);
  const lowThrottle = createLowThrottle(clock, noneWaits);
  await clock.advance(HIGH_ABOUT_MS);
  for (let turn = 0; turn < 10; turn++) {
    assert.equal(await lowThrottle.turn(256, running), 256);
    lowThrottle.lowTaken(256, 0);
  }
});

test("at the start, and after a HIGH event, LOW comes singly", async () => {
  const clock = createManualClock(0);
  const lowThrottle = createLowThrottle(clock, noneWaits);
  assert.equal(await lowThrottle.turn(256, running), 1);
  await clock.advance(HIGH_ABOUT_MS);
  assert.equal(await lowThrottle.turn(256, running), 256);
  lowThrottle.highTaken();
  assert.equal(await lowThrottle.turn(256, running), 1);
});

test("turns that come late the sooner they follow each other keep LOW near its least pace", async () => {
  const taken = await takenIn(createManualClock(0), 20_000, (perS) => (perS > LOW_PACE.least * 1.5 ? 20 : 0));
  assert.ok(taken <= 20 * LOW_PACE.least * 2, `${taken} taken`);
  assert.ok(taken >= 20 * LOW_PACE.least * 0.4, `${taken} taken`);
});

test("turns that are late at the least pace, too, are the machine's noise, whatever HIGH does", async () => {
  const taken = await takenIn(createManualClock(0), 20_000, () => 8);
  assert.ok(taken >= 10 * LOW_PACE.least, `${taken} taken`);
});

test("turns that come in time speed LOW up", async () => {
  const taken = await takenIn(createManualClock(0), 20_000, () => 0);
  assert.ok(taken > 40 * LOW_PACE.least, `${taken} taken`);
});

/** LOW events taken in 20 s while one HIGH event a second comes and ends within 5 ms; turns are late as `lateMs` says. */
async function takenBesideFew(lateMs: (isHighRunning: boolean, turn: number) => number): Promise<number> {
  const clock = createManualClock(0);
  let isRunning = false;
  let turns = 0;
  const sleep = (wait: number, signal: AbortSignal) => clock.sleep(wait + lateMs(isRunning, turns++), signal);
  const lowThrottle = createLowThrottle({ ...clock, sleep }, noneWaits);
  let taken = 0;
  const reader = (async () => {
    while (clock.monotonic() < 19_000) {
      const count = await lowThrottle.turn(LOW_BURST, running);
      lowThrottle.lowTaken(count, 0);
      taken += count;
    }
  })();
  for (let second = 0; second < 20; second++) {
    lowThrottle.highTaken();
    isRunning = true;
    await clock.advance(5);
    lowThrottle.highEnded();
    isRunning = false;
    await clock.advance(HIGH_ABOUT_MS - 6);
  }
  await clock.advance(1000);
  await reader;
  return taken;
}

test("one HIGH event a second holds no LOW back on a machine whose timers are always late", async () => {
  const taken = await takenBesideFew(() => LATE_MS + 1);
  assert.ok(taken >= 19 * 1000, `${taken} taken`);
});

test("single late turns, as any machine has them, do not hold LOW back", async () => {
  const taken = await takenBesideFew((_isHighRunning, turn) => (turn % 10 === 0 ? 20 : 0));
  assert.ok(taken >= 19 * 1000, `${taken} taken`);
});

test("a stop ends the wait for a turn", async () => {
  const clock = createManualClock(0);
  const lowThrottle = createLowThrottle(clock, noneWaits);
  lowThrottle.lowTaken(1000, 0);
  const controller = new AbortController();
  const turn = lowThrottle.turn(10, controller.signal);
  await clock.settle();
  controller.abort();
  assert.equal(await turn, 1);
});

test("while HIGH is about no flow is let in of which enough waits; others are, and without HIGH all are", async () => {
  const clock = createManualClock(0);
  const lowThrottle = createLowThrottle(clock, { isEnough: (tenant, flow) => tenant === "acme" && flow !== 2 });
  let asked = 0;
  const admits = lowThrottle.admission(() => (asked += 1) > 0);
  const lets = (tenant: string, flow: number): boolean => admits(tenant, flow);
  assert.deepEqual([lets("acme", 1), asked], [false, 0], "the window counts what it lets pass");
  assert.deepEqual([lets("acme", 2), lets("globex", 1)], [true, true]);
  await clock.advance(HIGH_ABOUT_MS);
  assert.equal(lets("acme", 1), true);
  lowThrottle.highTaken();
  assert.equal(lets("acme", 1), false);
});

test("beside HIGH nothing has to make room while LOW gets its least pace", async () => {
  const clock = createManualClock(0);
  const lowThrottle = createLowThrottle(clock, noneWaits);
  assert.equal(lowThrottle.admission(() => true).enoughPerS, LOW_PACE.least);
  await clock.advance(HIGH_ABOUT_MS);
  assert.equal(lowThrottle.admission(() => true).enoughPerS, undefined);
});

test("what is taken only so that others are seen comes at the least pace, however high the pace is", async () => {
  const clock = createManualClock(0);
  const lowThrottle = createLowThrottle(clock, noneWaits);
  const STEP_MS = 0.5;
  const turnAfter = async (surplus: number): Promise<number> => {
    lowThrottle.highTaken();
    lowThrottle.lowTaken(1, surplus);
    const over = { hasCome: false };
    const turn = lowThrottle.turn(LOW_BURST, running).then(() => (over.hasCome = true));
    let steps = 0;
    for (; !over.hasCome; steps++) await clock.advance(STEP_MS);
    await turn;
    return steps * STEP_MS;
  };
  for (let turn = 0; turn < 200; turn++) await turnAfter(0);
  const leastMs = 1000 / LOW_PACE.least;
  assert.ok((await turnAfter(0)) < leastMs / 2);
  const surplusMs = await turnAfter(1);
  assert.ok(surplusMs >= leastMs && surplusMs <= leastMs + STEP_MS, `${surplusMs} ms`);
});

test("turns after which LOW was not there at once do not raise the pace", async () => {
  const clock = createManualClock(0);
  const lowThrottle = createLowThrottle(clock, noneWaits);
  for (let turn = 0; turn < 400; turn++) {
    lowThrottle.highTaken();
    const next = lowThrottle.turn(LOW_BURST, running);
    await clock.advance(1000 / LOW_PACE.least);
    const count = await next;
    await clock.advance(10);
    lowThrottle.lowTaken(count, 0);
  }
  const startedAt = clock.monotonic();
  const next = lowThrottle.turn(LOW_BURST, running).then(() => clock.monotonic() - startedAt);
  await clock.advance(100);
  assert.ok((await next) > 1000 / (LOW_PACE.least * 2), `${await next} ms for the next turn`);
});

test("noise that a busy start taught is forgotten: LOW slows down for turns that it makes late itself", async () => {
  const clock = createManualClock(0);
  const turns = { late: 0, all: 0 };
  const lateOf = (perS: number): number => {
    if (clock.monotonic() < 2000) return 40;
    const isLate = perS > 1000;
    turns.all += 1;
    if (isLate) turns.late += 1;
    return isLate ? 5 : 0;
  };
  await takenIn(clock, 120_000, lateOf, 25);
  assert.ok(turns.late < turns.all / 3, `${turns.late} of ${turns.all} late`);
});
