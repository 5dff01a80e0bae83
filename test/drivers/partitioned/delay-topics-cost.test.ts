/** What the retry queue on the log costs: appends of an endpoint that stays down, timers while nothing happens. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createPartitionEnds } from "@posthaste/shared/drivers/partitioned/window/partition-ends.ts";
import { createDelayAdmission } from "@posthaste/shared/drivers/partitioned/delay-topics/admission.ts";
import type { PartitionDepth } from "@posthaste/shared/ports/partition-log.ts";
import type { RetryItem, Scheduled } from "@posthaste/shared/ports/retry-queue.ts";
import type { ManualClock } from "../../support/clocks/manual-clock.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import type { Life } from "./delay-topics-harness.ts";
import { GROUP, HOUR_MS, MINUTE_MS, NEVER, after, openBroker, openLife, recordTimes } from "./delay-topics-harness.ts";
import { START_MS, sampleEnvelopes, sampleScheduled } from "../../support/samples.ts";

/** As the processor parks behind an open breaker: 10 s, doubled to half an hour, and then 100 a second. */
const PARK_MS = 10_000;
const PARK_MS_MAX = 30 * MINUTE_MS;
const SLOT_MS = 1000;
const SLOT_EVENTS = 100;
const PUBLISHED_AT_ONCE = 5000;

/** Parks whatever it takes, again and again; tells how late and how often. */
function parkForEver(life: Life, clock: ManualClock): { parks: number; lateMs: number } {
  const seen = { parks: 0, lateMs: 0 };
  let slotMs = 0;
  let inSlot = 0;
  const parkAgain = (item: RetryItem): Scheduled => {
    seen.parks++;
    seen.lateMs = Math.max(seen.lateMs, clock.now() - item.notBeforeMs);
    const earliestMs = clock.now() + Math.min(PARK_MS * 2 ** item.deferrals, PARK_MS_MAX);
    if (earliestMs > slotMs || ++inSlot === SLOT_EVENTS) {
      slotMs = Math.max(earliestMs, slotMs + SLOT_MS);
      inSlot = 0;
    }
    const { handle: _handle, isRepeat: _isRepeat, ...facts } = item;
    return { ...facts, notBeforeMs: slotMs, deferrals: item.deferrals + 1 };
  };
  const loop = async (): Promise<void> => {
    for (
      let taken = await life.delayTopics.take(256, NEVER);
      taken.length > 0;
      taken = await life.delayTopics.take(256, NEVER)
    ) {
      await life.delayTopics.schedule(taken.map(parkAgain));
      // As the processor does: the next are taken while the ack waits for its commit.
      void life.delayTopics.ack(taken);
    }
  };
  void loop();
  return seen;
}

/** 100,000 slots reach a thousand seconds beyond each park's own wait, which is then no round number of relays. */
const LARGE = { events: 100_000, hours: 3, parksMin: 10, appendsMax: 6 };
const isFull = process.env["POSTHASTE_FULL"] === "1";

for (const { events, hours, parksMin, appendsMax } of [
  { events: 10_000, hours: 3, parksMin: 12, appendsMax: 3 },
  { events: 2000, hours: 24, parksMin: 50, appendsMax: 3 },
  ...(isFull ? [LARGE] : []),
]) {
  const name = `delay topics: ${events} events of an endpoint that is down for ${hours} h cost ${appendsMax} appends for each park`;
  test(name, { timeout: 600_000 }, async () => {
    const clock = createManualClock(START_MS);
    const broker = await openBroker(clock, 6, HOUR_MS);
    const life = await openLife(broker, clock);
    const seen = parkForEver(life, clock);
    const parked = { cause: "parked", notBeforeMs: clock.now(), deferrals: 0 } as const;
    const all = sampleEnvelopes(events).map((envelope) => sampleScheduled([envelope], parked));
    for (let at = 0; at < events; at += PUBLISHED_AT_ONCE) {
      await life.delayTopics.schedule(all.slice(at, at + PUBLISHED_AT_ONCE));
      await clock.advance(10);
    }
    await clock.advance(hours * HOUR_MS);
    const parks = seen.parks / events;
    const appends = life.counts.appends / events;
    process.stdout.write(`${events} events, ${hours} h down: ${parks} parks and ${appends} appends each\n`);
    assert.ok(parks >= parksMin, `${parks} parks`);
    assert.ok(appends <= appendsMax * parks, `${appends} appends in ${parks} parks`);
    assert.ok(seen.lateMs <= 100, `late by up to ${seen.lateMs} ms`);
    assert.equal((await life.delayTopics.depth()).count, events);
  });
}

test("delay topics: nothing to do sets no timer, long waits set about one a minute, and once closed none is left", async () => {
  const clock = createManualClock(START_MS);
  const broker = await openBroker(clock, 3);
  const life = await openLife(broker, clock);
  await clock.advance(MINUTE_MS);
  const timersBefore = clock.timerCount();
  life.counts.timers = 0;
  await clock.advance(HOUR_MS);
  assert.equal(life.counts.timers, 0);
  const dueAtMs = clock.now() + 14 * HOUR_MS;
  await life.delayTopics.schedule(Array.from({ length: 3000 }, (_, index) => after(`evt_${index}`, dueAtMs + index)));
  await clock.advance(MINUTE_MS);
  life.counts.timers = 0;
  await clock.advance(HOUR_MS);
  assert.ok(life.counts.timers <= 70, `${life.counts.timers} timers in an hour`);
  const waiting = life.delayTopics.take(1, NEVER);
  await life.stop();
  // The group hears that it left.
  await clock.advance(1000);
  assert.deepEqual([await waiting, clock.timerCount()], [[], timersBefore]);
});

test("delay topics: after a step of the wall clock forward, or a sleep of the machine, what is due comes within a minute", async () => {
  const clock = createManualClock(START_MS);
  const broker = await openBroker(clock, 1);
  const life = await openLife(broker, clock);
  const { times } = recordTimes(life, clock);
  await life.delayTopics.schedule([after("evt_a", clock.now() + 10 * HOUR_MS)]);
  await clock.advance(1000);
  clock.stepWall(11 * HOUR_MS);
  const stepMs = clock.now();
  await clock.advance(2 * MINUTE_MS);
  const lateMs = (times.get("evt_a")?.[0] ?? Infinity) - stepMs;
  assert.ok(lateMs <= MINUTE_MS + 6000, `${lateMs} ms`);
});

test("delay topics: a window that is crowded with last waits makes room for what comes behind them", async () => {
  const clock = createManualClock(START_MS);
  const broker = await openBroker(clock, 1);
  const life = await openLife(broker, clock, { recordsMax: 1000 });
  const { times } = recordTimes(life, clock);
  const startMs = clock.now();
  const block = (name: string, count: number, waitMs: number) =>
    Array.from({ length: count }, (_, index) => after(`${name}_${index}`, startMs + waitMs));
  await life.delayTopics.schedule(block("late", 950, 115_000));
  await life.delayTopics.schedule(block("soon", 200, 75_000));
  await clock.advance(2 * MINUTE_MS);
  assert.equal(times.size, 1150);
  for (const [id, given] of times) assert.deepEqual(given, [startMs + (id.startsWith("soon") ? 75_000 : 115_000)], id);
});

test("delay topics admission: a log that does not answer keeps nobody waiting but at the start and at the bound", async () => {
  const clock = createManualClock(START_MS);
  let asked = 0;
  let measure = Promise.withResolvers<number>();
  const admission = createDelayAdmission({
    itemsMax: 10,
    clock,
    measure: () => {
      asked++;
      return measure.promise;
    },
    onFault: () => undefined,
  });
  const first = admission.reserve(1);
  measure.resolve(0);
  await first;
  measure = Promise.withResolvers();
  await clock.advance(6000);
  await admission.reserve(2);
  assert.equal(asked, 2);
  measure.resolve(9);
  await clock.settle();
  await clock.advance(1000);
  assert.equal(await admission.reserve(2), false);
  assert.equal(asked, 3);
});

test("partition ends: one question for each topic, asked again after a failure, and none for what was lost", async () => {
  const clock = createManualClock(START_MS);
  const asked: string[] = [];
  let isDown = true;
  const depth = (group: string, topic: string): Promise<PartitionDepth[]> => {
    asked.push(`${group} ${topic}`);
    if (isDown && topic === "b") return Promise.reject(new Error("no"));
    return Promise.resolve([0, 1].map((partition) => ({ topic, partition, start: 0, committed: 0, end: 7 })));
  };
  const learned: string[] = [];
  const seeker = (topic: string, partition: number) => ({
    position: { topic, partition },
    learnEnd: (end: number) => void learned.push(`${topic}/${partition} ${end}`),
  });
  const faults: unknown[] = [];
  const ends = createPartitionEnds({
    partitionLog: { depth },
    group: GROUP,
    clock,
    onFault: (error) => faults.push(error),
  });
  const lost = seeker("b", 1);
  for (const one of [seeker("a", 0), seeker("a", 1), seeker("b", 0), lost]) ends.find(one);
  await clock.settle();
  assert.deepEqual([asked, learned, faults.length], [["retry a", "retry b"], ["a/0 7", "a/1 7"], 1]);
  ends.forget(lost);
  isDown = false;
  await clock.advance(1000);
  assert.deepEqual([asked.slice(2), learned.slice(2)], [["retry b"], ["b/0 7"]]);
  await clock.advance(HOUR_MS);
  assert.deepEqual([asked.length, clock.timerCount()], [3, 0]);
});
