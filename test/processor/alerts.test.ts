/** Processors tell the operator of alerts: one of two, signed by the pipeline as any event, and on their own while the board is away. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ALERT_RULES } from "@posthaste/shared/domain/alert-rules.ts";
import type { Measure } from "@posthaste/shared/domain/alert-rules.ts";
import { parseBoard } from "@posthaste/shared/domain/alerts.ts";
import type { OwnEvent } from "@posthaste/shared/domain/own-event.ts";
import { ownEnvelope } from "@posthaste/shared/domain/own-event.ts";
import { createMeasures, countingFailures } from "@posthaste/processor/alerts/measures.ts";
import { watchAlerts } from "@posthaste/processor/alerts/watch.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import { silentTelemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import { testHasher } from "../support/ambient.ts";
import { createManualClock } from "../support/clocks/manual-clock.ts";
import { START_MS } from "../support/samples.ts";

/** Two processes, one board, and what they published. */
function openTwo() {
  const clock = createManualClock(START_MS);
  const state = { text: null as string | null, isBoardAway: false, isLaneAway: false, values: [0, 0] };
  /** The process that first sends one of this type dies, before it is kept or after. */
  const death = { type: "", isKept: false, hasCome: false };
  const told: { readonly id: string; readonly type: string; readonly process: number }[] = [];
  const board = {
    // The answer takes its time, so that both have read before either writes.
    async read() {
      if (state.isBoardAway) throw new Error("Redis is away");
      const { text } = state;
      await clock.sleep(10, new AbortController().signal);
      return text;
    },
    replace(before: string | null, after: string) {
      if (state.isBoardAway) return Promise.reject(new Error("Redis is away"));
      if (state.text !== before) return Promise.resolve(false);
      state.text = after;
      return Promise.resolve(true);
    },
  };
  const stop = (process: number): void => watches[process]?.[Symbol.dispose]();
  const watches: readonly Disposable[] = [0, 1].map((process) =>
    watchAlerts({
      rules: ALERT_RULES,
      board,
      clock,
      readMeasures: () => Promise.resolve(new Map<Measure, number>([["fallbacks", state.values[process] ?? 0]])),
      announce(events: readonly OwnEvent[]) {
        if (state.isLaneAway) return Promise.resolve(false);
        const isDeath = !death.hasCome && events.some(({ type }) => type === death.type);
        for (const event of isDeath && !death.isKept ? [] : events) {
          const { id, type } = ownEnvelope(event, 0, testHasher);
          told.push({ id, type, process });
        }
        if (isDeath) {
          death.hasCome = true;
          stop(process);
          return new Promise(() => undefined);
        }
        return Promise.resolve(true);
      },
      onFailure: () => undefined,
    }),
  );
  const pass = async (minutes: number): Promise<void> => {
    for (let second = 0; second < minutes * 60; second += 5) await clock.advance(5000);
  };
  const types = (): readonly string[] => told.map(({ type }) => type);
  return { clock, state, death, told, types, stop, pass };
}

const FIRES = "posthaste.alert.fallback";
const ENDS = "posthaste.alert.resolved";

test("two processors that see the same send one alert, and one when it is over", async () => {
  const { state, types, pass } = openTwo();
  state.values = [1, 1];
  await pass(10);
  assert.deepEqual(types(), [FIRES]);
  state.values = [0, 0];
  await pass(10);
  assert.deepEqual(types(), [FIRES, ENDS]);
  assert.deepEqual(parseBoard(state.text), {});
  state.values = [0, 1];
  await pass(2);
  assert.deepEqual(types(), [FIRES, ENDS, FIRES]);
});

test("what comes and goes within the times of the rule is no alert", async () => {
  const { state, types, pass } = openTwo();
  for (let round = 0; round < 60; round++) {
    state.values = round % 2 === 0 ? [1, 1] : [0, 0];
    await pass(1 / 3);
  }
  assert.deepEqual(types(), []);
});

test("an alert whose process is gone is ended by another", async () => {
  const { state, types, pass, stop } = openTwo();
  state.values = [1, 0];
  await pass(5);
  stop(0);
  await pass(5);
  assert.deepEqual(types(), [FIRES, ENDS]);
});

test("what could not be sent is sent later", async () => {
  const { state, types, pass } = openTwo();
  state.isLaneAway = true;
  state.values = [1, 1];
  await pass(5);
  assert.deepEqual(types(), []);
  state.isLaneAway = false;
  await pass(5);
  assert.ok(types().length >= 1 && types().every((type) => type === FIRES), types().join());
});

for (const type of [FIRES, ENDS]) {
  for (const isKept of [false, true]) {
    test(`a process that dies ${isKept ? "after" : "before"} its ${type} is kept leaves it to another, under the same id, once`, async () => {
      const { state, death, told, pass } = openTwo();
      Object.assign(death, { type, isKept });
      state.values = [1, 0];
      await pass(5);
      state.values = [0, 0];
      await pass(20);
      assert.ok(death.hasCome);
      for (const kind of [FIRES, ENDS]) {
        const sent = told.filter((each) => each.type === kind);
        assert.equal(sent.length, kind === type && isKept ? 2 : 1, kind);
        assert.equal(new Set(sent.map(({ id }) => id)).size, 1);
      }
      assert.deepEqual(parseBoard(state.text), {});
    });
  }
}

test("while the board is away each process sends its own, under one id; it ends once when the board is back", async () => {
  const { state, told, types, pass } = openTwo();
  state.isBoardAway = true;
  state.values = [1, 1];
  await pass(5);
  assert.deepEqual(types(), [FIRES, FIRES]);
  assert.equal(new Set(told.map(({ id }) => id)).size, 1);
  state.isBoardAway = false;
  await pass(2);
  state.values = [0, 0];
  await pass(10);
  assert.deepEqual(types(), [FIRES, FIRES, ENDS]);
});

test("measures: ages and numbers of lanes, growth, stores that are away; what cannot be told is left out", async () => {
  const clock = createManualClock(START_MS);
  const state = { dead: 0, isHanging: false };
  const count = (depth: number) => Promise.resolve({ count: depth, oldestAtMs: START_MS });
  const hanging = new Promise<never>(() => undefined);
  const drivers = {
    lanes: { depth: () => (state.isHanging ? hanging : count(7)) },
    retryQueue: { depth: () => count(3) },
    deadLetters: { count: () => Promise.resolve(state.dead) },
    spool: null,
    missedLedger: null,
    health: () => (state.isHanging ? hanging : Promise.resolve(null)),
    degraded: () => (state.isHanging ? hanging : Promise.resolve(["Redis is away."])),
  } as unknown as Drivers;
  const counted = countingFailures(silentTelemetry);
  const read = createMeasures({ drivers, clock, loopFailures: counted.loopFailures });
  const first = await read();
  assert.deepEqual([first.get("age.high"), first.get("lag.low"), first.get("fallbacks")], [0, 7, 1]);
  assert.deepEqual([first.get("stores.down"), first.get("dead.growth")], [0, undefined]);
  await clock.advance(120_000);
  state.dead = 50;
  counted.telemetry.queue.loopFailed("lane high", new Error("away"), 1);
  const second = await read();
  assert.deepEqual([second.get("age.high"), second.get("dead.growth"), second.get("loops.failed")], [120, 25, 0.5]);
  state.isHanging = true;
  const reading = read();
  for (let step = 0; step < 20; step++) await clock.advance(1000);
  const third = await reading;
  assert.deepEqual(
    [third.get("age.high"), third.get("fallbacks"), third.get("stores.down")],
    [undefined, undefined, 1],
  );
});
