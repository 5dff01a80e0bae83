/** A queue that lags is one line, one that has caught up another; a store that is away keeps nobody else from being read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LAG_LOOK_MS, watchLag } from "@posthaste/processor/lag-watch.ts";
import { readQueues } from "@posthaste/shared/ports/queue-samples.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { Depth } from "@posthaste/shared/ports/lanes.ts";
import type { QueueSample } from "@posthaste/shared/telemetry/queue.ts";
import { createManualClock } from "../support/clocks/manual-clock.ts";
import { START_MS } from "../support/samples.ts";

const NONE: Depth = { count: 0, oldestAtMs: null };

function openQueues() {
  const clock = createManualClock(START_MS);
  const state = {
    high: NONE,
    medium: NONE,
    ledger: NONE,
    spoolMs: null as number | null,
    isKafkaAway: false,
    isHanging: false,
  };
  const medium = (): Promise<Depth> => {
    if (state.isHanging) return new Promise(() => undefined);
    return state.isKafkaAway ? Promise.reject(new Error("Kafka is away")) : Promise.resolve(state.medium);
  };
  const drivers = {
    lanes: { depth: (lane: string) => (lane === "high" ? Promise.resolve(state.high) : medium()) },
    retryQueue: { depth: medium },
    deadLetters: { count: () => Promise.resolve(3) },
    spool: {
      depth: () => Promise.resolve({ count: state.spoolMs === null ? 0 : 7, bytes: 0, oldestMs: state.spoolMs }),
    },
    missedLedger: { depth: () => (state.isKafkaAway || state.isHanging ? medium() : Promise.resolve(state.ledger)) },
  } as unknown as Drivers;
  const told: string[] = [];
  const watch = watchLag({
    drivers,
    clock,
    telemetry: {
      lagging: ({ queue, depth, lagMs }: QueueSample) => void told.push(`${queue} lags: ${depth}, ${lagMs} ms`),
      caughtUp: ({ queue }: QueueSample) => void told.push(`${queue} caught up`),
    },
  });
  return { clock, state, told, drivers, watch };
}

test("a queue that lags is told once, and once when it has caught up", async () => {
  const { clock, state, told, watch } = openQueues();
  state.high = { count: 5, oldestAtMs: START_MS };
  state.medium = { count: 9, oldestAtMs: START_MS };
  await clock.advance(4 * LAG_LOOK_MS);
  assert.deepEqual(told, [`high lags: 5, ${LAG_LOOK_MS} ms`]);
  await clock.advance(6 * LAG_LOOK_MS);
  assert.deepEqual(told.slice(1), [`medium lags: 9, ${10 * LAG_LOOK_MS} ms`]);
  state.high = NONE;
  await clock.advance(LAG_LOOK_MS);
  assert.deepEqual(told.slice(2), ["high caught up"]);
  watch[Symbol.dispose]();
  state.high = { count: 1, oldestAtMs: START_MS };
  await clock.advance(10 * LAG_LOOK_MS);
  assert.equal(told.length, 3);
});

test("what the ledger missed is a queue, and lags when it is not taken back", async () => {
  const { clock, state, told, drivers, watch } = openQueues();
  state.ledger = { count: 4, oldestAtMs: START_MS };
  await clock.advance(10 * LAG_LOOK_MS);
  assert.deepEqual(told, [`ledger lags: 4, ${10 * LAG_LOOK_MS} ms`]);
  const samples = await readQueues(drivers, clock);
  assert.deepEqual(
    samples.find(({ queue }) => queue === "ledger"),
    { queue: "ledger", depth: 4, lagMs: 10 * LAG_LOOK_MS },
  );
  state.ledger = NONE;
  await clock.advance(LAG_LOOK_MS);
  assert.deepEqual(told.slice(1), ["ledger caught up"]);
  watch[Symbol.dispose]();
});

for (const how of ["isKafkaAway", "isHanging"] as const) {
  test(`while Kafka is away (${how}) the queues in Redis are read all the same`, async () => {
    const { clock, state, told, drivers, watch } = openQueues();
    state[how] = true;
    state.spoolMs = 61_000;
    const reading = readQueues(drivers, clock);
    await clock.advance(2000);
    assert.deepEqual(await reading, [
      { queue: "high", depth: 0, lagMs: null },
      { queue: "dead", depth: 3, lagMs: null },
      { queue: "spool", depth: 7, lagMs: 61_000 },
    ]);
    await clock.advance(LAG_LOOK_MS + 2000);
    assert.deepEqual(told, ["spool lags: 7, 61000 ms"]);
    watch[Symbol.dispose]();
  });
}
