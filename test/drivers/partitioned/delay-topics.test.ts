/** The retry queue on the log: its contract over the in-memory log, and the promises of the delay topics themselves. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PoisonRecord } from "@posthaste/shared/drivers/partitioned/window/quarantine.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { withCode } from "../../contract/harness.ts";
import { retryQueueContract } from "../../contract/retry-queue.contract.ts";
import {
  CRASH_MS,
  HOUR_MS,
  MINUTE_MS,
  NEVER,
  after,
  openBroker,
  openLife,
  openDelayTopicsHarness,
  recordTimes,
  topicOf,
} from "./delay-topics-harness.ts";
import { START_MS } from "../../support/samples.ts";

retryQueueContract("delay topics", openDelayTopicsHarness);

const WAITS_MS = [
  7000,
  52_000,
  57_501,
  59_999,
  MINUTE_MS,
  592_000,
  598_000,
  20 * MINUTE_MS,
  14 * HOUR_MS,
  14 * HOUR_MS + 1234,
  49 * HOUR_MS,
];

test("delay topics: waits of seconds to days end on the millisecond in steady state, once each", async () => {
  const clock = createManualClock(START_MS);
  const broker = await openBroker(clock, 3);
  const life = await openLife(broker, clock);
  const { times, items } = recordTimes(life, clock);
  const startMs = clock.now();
  await life.delayTopics.schedule(WAITS_MS.map((waitMs) => after(`evt_${waitMs}`, startMs + waitMs)));
  await clock.advance(50 * HOUR_MS);
  assert.deepEqual(
    WAITS_MS.map((waitMs) => times.get(`evt_${waitMs}`)),
    WAITS_MS.map((waitMs) => [startMs + waitMs]),
  );
  assert.equal(items.length, WAITS_MS.length);
  assert.deepEqual(await life.delayTopics.depth(), { count: 0, oldestAtMs: null });
});

test("delay topics: waits end on time after a graceful restart", async () => {
  const clock = createManualClock(START_MS);
  const broker = await openBroker(clock, 3);
  const first = await openLife(broker, clock);
  const startMs = clock.now();
  await first.delayTopics.schedule(WAITS_MS.map((waitMs) => after(`evt_${waitMs}`, startMs + waitMs)));
  await clock.advance(2000);
  const closing = first.delayTopics[Symbol.asyncDispose]();
  await clock.advance(100);
  await closing;
  const second = await openLife(broker, clock);
  const { times } = recordTimes(second, clock);
  await clock.advance(50 * HOUR_MS);
  for (const waitMs of WAITS_MS) assert.deepEqual(times.get(`evt_${waitMs}`), [startMs + waitMs], `${waitMs}`);
});

test("delay topics: after a crash what was due meanwhile comes within session timeout and rebalance, the rest on time", async () => {
  const clock = createManualClock(START_MS);
  const broker = await openBroker(clock, 3);
  const first = await openLife(broker, clock);
  const second = await openLife(broker, clock);
  await clock.advance(CRASH_MS);
  const startMs = clock.now();
  await first.delayTopics.schedule(WAITS_MS.map((waitMs) => after(`evt_${waitMs}`, startMs + waitMs)));
  await clock.advance(6500);
  first.crash();
  const { times } = recordTimes(second, clock);
  await clock.advance(50 * HOUR_MS);
  for (const waitMs of WAITS_MS) {
    const lateMs = (times.get(`evt_${waitMs}`)?.[0] ?? Infinity) - startMs - waitMs;
    assert.ok(lateMs >= 0 && lateMs <= (waitMs < 10_000 ? CRASH_MS + 1000 : 0), `${waitMs} is ${lateMs} ms late`);
  }
});

test("delay topics: what was handed out by a process that lives on is told as a repeat by the next owner", async () => {
  const clock = createManualClock(START_MS);
  const broker = await openBroker(clock, 2);
  const first = await openLife(broker, clock);
  await first.delayTopics.schedule([after("evt_a", clock.now()), after("evt_b", clock.now())]);
  const held = await first.delayTopics.take(10, NEVER);
  assert.ok(held.every(({ isRepeat }) => !isRepeat));
  const second = await openLife(broker, clock);
  await clock.advance(CRASH_MS);
  await first.delayTopics.ack(held);
  first.crash();
  const { items } = recordTimes(second, clock);
  await clock.advance(2 * CRASH_MS);
  assert.ok(items.length > 0 && items.every(({ isRepeat }) => isRepeat));
});

test("delay topics: a topic of long waits is read a little at a time, and a flood beyond the window is late by the reading alone", async () => {
  const clock = createManualClock(START_MS);
  const broker = await openBroker(clock, 1);
  const life = await openLife(broker, clock, { recordsMax: 1000 });
  const { times } = recordTimes(life, clock);
  const dueAtMs = clock.now() + 20 * MINUTE_MS;
  for (let block = 0; block < 3; block++) {
    await life.delayTopics.schedule(
      Array.from({ length: 1000 }, (_, index) => after(`evt_${block}_${index}`, dueAtMs + index)),
    );
  }
  await clock.advance(21 * MINUTE_MS);
  assert.equal(times.size, 3000);
  const late = Array.from(times, ([id, [atMs]]) => (atMs ?? Infinity) - dueAtMs - Number(id.split("_")[2]));
  assert.ok(Math.min(...late) >= 0 && Math.max(...late) <= 2500, `late by up to ${Math.max(...late)} ms`);
});

test("delay topics: a relay that the log refuses is repeated until it is taken", async () => {
  const clock = createManualClock(START_MS);
  const broker = await openBroker(clock, 1);
  const life = await openLife(broker, clock);
  const { times } = recordTimes(life, clock);
  const dueAtMs = clock.now() + 3 * MINUTE_MS;
  await life.delayTopics.schedule([after("evt_a", dueAtMs)]);
  await clock.advance(MINUTE_MS - 2000);
  broker.setReachable(false);
  await clock.advance(40_000);
  broker.setReachable(true);
  await clock.advance(3 * MINUTE_MS);
  assert.deepEqual(times.get("evt_a"), [dueAtMs]);
});

test("delay topics: a record that does not read back is given away and then settled", async () => {
  const clock = createManualClock(START_MS);
  const broker = await openBroker(clock, 1);
  const given: PoisonRecord[] = [];
  let failures = 2;
  const onPoison = async (poison: PoisonRecord): Promise<void> => {
    if (failures-- > 0) throw new Error("not now");
    given.push(poison);
  };
  const life = await openLife(broker, clock, { onPoison });
  const producer = broker.openProducer("other");
  const value = new Uint8Array([1, 2, 3]);
  await producer.append([
    { topic: topicOf(5000), partition: 0, key: null, value, headers: { cause: "whim" }, timestampMs: clock.now() },
  ]);
  await clock.advance(10_000);
  assert.deepEqual(
    given.map((poison) => [poison.offset, poison.value, poison.headers]),
    [[0, value, { cause: "whim" }]],
  );
  assert.equal((await life.delayTopics.depth()).count, 0);
});

test("delay topics: schedule() rejects with store-unavailable while the log does not answer", async () => {
  const clock = createManualClock(START_MS);
  const broker = await openBroker(clock, 1);
  const life = await openLife(broker, clock);
  broker.setReachable(false);
  const scheduled = assert.rejects(
    life.delayTopics.schedule([after("evt_a", clock.now())]),
    withCode("store-unavailable"),
  );
  await clock.advance(15_000);
  await scheduled;
});
