/**
 * What the lanes and the delay topics ask of the log once a partition was lost: nothing at all. The log would refuse it, too,
 * but it may hear of the loss later than we do. Here the log is in the hands of the test.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { envelopeHeaders } from "@posthaste/shared/domain/envelope-record.ts";
import { createPartitionedLanes } from "@posthaste/shared/drivers/partitioned/lanes/lanes.ts";
import { OFFSET_WINDOW_BOUNDS } from "@posthaste/shared/drivers/partitioned/window/offset-window.ts";
import { retryRecord } from "@posthaste/shared/drivers/partitioned/delay-topics/retry-record.ts";
import { createDelayTopics } from "@posthaste/shared/drivers/partitioned/delay-topics/delay-topics.ts";
import type {
  AssignedPartition,
  GroupListener,
  ConsumerRecord,
  NewRecord,
  PartitionLog,
} from "@posthaste/shared/ports/partition-log.ts";
import { plainChance } from "../../support/ambient.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { idsOf } from "../../contract/harness.ts";
import { TOPICS } from "./lanes-harness.ts";
import { HOUR_MS, NEVER, after, topicOf } from "./delay-topics-harness.ts";
import { START_MS, sampleEnvelope } from "../../support/samples.ts";

const DELAYS_MS = [5000, 60_000];

/** A log that keeps what is asked of it; partition 0 of a topic is given and taken away by hand. */
function openHandLog() {
  const listeners = new Map<string, GroupListener>();
  const asked: string[] = [];
  const partitionLog: PartitionLog = {
    ensureTopics: () => Promise.resolve([]),
    openProducer: (name) => ({
      append(records) {
        asked.push(...records.map(({ topic }) => `${name}: append to ${topic}`));
        return Promise.resolve();
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
    openReader(_group, topics, listener) {
      for (const topic of topics) listeners.set(topic, listener);
      return Promise.resolve({ health: () => null, [Symbol.asyncDispose]: () => Promise.resolve() });
    },
    depth: (_group, topic) => Promise.resolve([{ topic, partition: 0, start: 0, committed: 0, end: 0 }]),
    writtenAt: (positions) => Promise.resolve(positions.map(() => START_MS)),
    health: () => Promise.resolve(null),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const partitionOf = (topic: string): AssignedPartition => ({
    topic,
    partition: 0,
    from: 0,
    pause: () => void asked.push(`pause ${topic}`),
    resume: () => void asked.push(`resume ${topic}`),
    commit(next) {
      asked.push(`commit ${topic} ${next}`);
      return Promise.resolve();
    },
  });
  return {
    partitionLog,
    asked,
    give(records: readonly NewRecord[]): void {
      const topic = records[0]?.topic ?? "";
      const listener = listeners.get(topic);
      assert.ok(listener);
      const assigned = partitionOf(topic);
      listener.assigned(assigned);
      const read = records.map((record, offset): ConsumerRecord => ({ ...record, partition: 0, offset }));
      listener.records(assigned, read);
    },
    lose: (topic: string) => listeners.get(topic)?.lost({ topic, partition: 0 }),
  };
}

async function openLanes(offload: () => Promise<void> = () => Promise.resolve()) {
  const clock = createManualClock(START_MS);
  const hand = openHandLog();
  const producer = hand.partitionLog.openProducer("lanes");
  const lanes = createPartitionedLanes({
    partitionLog: hand.partitionLog,
    clock,
    entropy: plainChance,
    topics: TOPICS,
    group: "lanes",
    producers: { high: producer, medium: producer, low: producer },
    windowBounds: OFFSET_WINDOW_BOUNDS,
    onPoison: () => Promise.resolve(),
    offload,
  });
  await lanes.startReading();
  const facts = { topic: TOPICS.medium, partition: 0, key: null, timestampMs: START_MS };
  hand.give(
    ["evt_a", "evt_b"].map((id) => {
      const envelope = sampleEnvelope(id);
      return { ...facts, headers: envelopeHeaders(envelope), value: envelope.body };
    }),
  );
  const items = await lanes.take("medium", 10, NEVER);
  assert.equal(items.length, 2);
  return { clock, hand, lanes, items };
}

async function openDelayTopics(waitsMs: readonly number[], delayMs: number) {
  const clock = createManualClock(START_MS);
  const hand = openHandLog();
  const delayTopics = createDelayTopics({
    partitionLog: hand.partitionLog,
    clock,
    entropy: plainChance,
    delaysMs: DELAYS_MS,
    group: "retry",
    topicOf,
    bounds: { itemsMax: 100, window: OFFSET_WINDOW_BOUNDS },
    onPoison: () => Promise.resolve(),
    onFault: () => undefined,
  });
  await delayTopics.startReading();
  hand.give(
    waitsMs.map((waitMs, index) =>
      retryRecord({
        item: after(`evt_${index}`, START_MS + waitMs),
        relays: 0,
        topic: topicOf(delayMs),
        nowMs: START_MS,
        time: "own",
      }),
    ),
  );
  return { clock, hand, delayTopics };
}

test("lanes: while a partition is ours an ack is committed", async () => {
  const { clock, hand, lanes, items } = await openLanes();
  await lanes.ack(items);
  await clock.advance(1000);
  assert.deepEqual(hand.asked, [`commit ${TOPICS.medium} 2`]);
});

test("lanes: acks and releases of a lost partition ask nothing of the log, and hand out nothing", async () => {
  const { clock, hand, lanes, items } = await openLanes();
  hand.lose(TOPICS.medium);
  await lanes.ack(items.slice(0, 1));
  await lanes.release(items.slice(1));
  await clock.advance(HOUR_MS);
  const controller = new AbortController();
  const more = lanes.take("medium", 10, controller.signal);
  await clock.settle();
  controller.abort();
  assert.deepEqual([await more, hand.asked, clock.timerCount()], [[], [], 0]);
});

test("lanes: a partition that was lost and came back knows nothing of the handles from before", async () => {
  const { clock, hand, lanes, items } = await openLanes();
  hand.lose(TOPICS.medium);
  const envelope = sampleEnvelope("evt_a");
  const facts = { topic: TOPICS.medium, partition: 0, key: null, timestampMs: START_MS };
  hand.give([{ ...facts, headers: envelopeHeaders(envelope), value: envelope.body }]);
  await lanes.ack(items);
  await clock.advance(1000);
  assert.deepEqual(hand.asked, []);
  assert.deepEqual(idsOf(await lanes.take("medium", 10, NEVER)), ["evt_a"]);
});

test("lanes: an offload that resolves after the loss settles nothing", async () => {
  const offloading = Promise.withResolvers<void>();
  let calls = 0;
  const { clock, hand } = await openLanes(() => {
    calls++;
    return offloading.promise;
  });
  await clock.advance(OFFSET_WINDOW_BOUNDS.ageMsMax);
  assert.equal(calls, 1);
  hand.lose(TOPICS.medium);
  offloading.resolve();
  await clock.advance(HOUR_MS);
  assert.deepEqual([hand.asked, calls, clock.timerCount()], [[], 1, 0]);
});

test("delay topics: acks and releases of a lost partition ask nothing of the log, and hand out nothing", async () => {
  const { clock, hand, delayTopics } = await openDelayTopics([0, 0], 5000);
  const items = await delayTopics.take(10, NEVER);
  assert.equal(items.length, 2);
  hand.lose(topicOf(5000));
  await delayTopics.ack(items.slice(0, 1));
  await delayTopics.release(items.slice(1));
  const controller = new AbortController();
  const more = delayTopics.take(10, controller.signal);
  await clock.advance(HOUR_MS);
  controller.abort();
  assert.deepEqual([hand.asked, await more, clock.timerCount()], [[], [], 0]);
});

test("delay topics: what waits in a lost partition is neither relayed nor is handed out", async () => {
  const { clock, hand, delayTopics } = await openDelayTopics([70_000, 3 * HOUR_MS], 60_000);
  hand.lose(topicOf(60_000));
  hand.asked.length = 0;
  const controller = new AbortController();
  const taken = delayTopics.take(10, controller.signal);
  await clock.advance(4 * HOUR_MS);
  controller.abort();
  assert.deepEqual([hand.asked, await taken, clock.timerCount()], [[], [], 0]);
});

test("delay topics: an item goes on before its place is committed, and acks of one partition share a commit", async () => {
  const { clock, hand, delayTopics } = await openDelayTopics([70_000, 3 * HOUR_MS], 60_000);
  const taken = delayTopics.take(10, NEVER);
  await clock.advance(71_000);
  await delayTopics.ack(await taken);
  await clock.advance(1000);
  const topic = topicOf(60_000);
  const steps = hand.asked.filter((step) => !step.startsWith("pause") && !step.startsWith("resume"));
  assert.deepEqual(steps, [`retry-relays: append to ${topic}`, `commit ${topic} 2`]);
});
