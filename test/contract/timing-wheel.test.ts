/** The retry queue on the log: its contract over the in-memory log, and the promises of the wheel itself. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DELIVER_AHEAD_MS_MAX } from "@posthaste/shared/domain/event.ts";
import { OFFSET_WINDOW_BOUNDS } from "@posthaste/shared/drivers/log/offset-window.ts";
import type { PoisonRecord } from "@posthaste/shared/drivers/log/poison.ts";
import { RETRY_VALUE_BYTES_MAX, parseRetryRecord, retryRecord } from "@posthaste/shared/drivers/log/retry-record.ts";
import type { TimingWheel } from "@posthaste/shared/drivers/log/timing-wheel.ts";
import { createTimingWheel } from "@posthaste/shared/drivers/log/timing-wheel.ts";
import { createHeap } from "@posthaste/shared/drivers/log/wheel-heap.ts";
import { createKnownItems } from "@posthaste/shared/drivers/log/wheel-known.ts";
import { WHEEL_DELAYS_MS, createWheelPlan, delayName } from "@posthaste/shared/drivers/log/wheel-plan.ts";
import type { MemoryLog } from "@posthaste/shared/drivers/memory/partition-log.ts";
import { openMemoryLog } from "@posthaste/shared/drivers/memory/partition-log.ts";
import type { RetryItem, Scheduled } from "@posthaste/shared/ports/retry-queue.ts";
import type { ManualClock, ProcessClock } from "../support/manual-clock.ts";
import { createManualClock } from "../support/manual-clock.ts";
import { openMemoryHarness } from "./embedded-harness.ts";
import type { Harness, HarnessBounds } from "./harness.ts";
import { START_MS, memberIdsOf, sampleEnvelope, sampleEnvelopes, sampleScheduled, withCode } from "./harness.ts";
import { retryQueueContract } from "./retry-queue.contract.ts";

const GROUP = "retry";
const NEVER = new AbortController().signal;
/** Session timeout, the heartbeat until the rebalance, and the news of it. */
const CRASH_MS = 6000 + 500 + 100;
const JOIN_MS = 1000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3600_000;

const topicOf = (delayMs: number) => `posthaste.retry.${delayName(delayMs)}`;

interface Life {
  readonly wheel: TimingWheel;
  readonly log: MemoryLog;
  readonly clock: ProcessClock;
  crash(): void;
}

/** One process on the broker; time passes until it has joined. */
async function openLife(
  broker: MemoryLog,
  clock: ManualClock,
  options: { itemsMax?: number; recordsMax?: number; onPoison?: (poison: PoisonRecord) => Promise<void> } = {},
): Promise<Life> {
  const processClock = clock.forProcess();
  const log = broker.forProcess(processClock);
  const { itemsMax = 1_000_000, recordsMax = 10_000, onPoison = () => Promise.resolve() } = options;
  const wheel = createTimingWheel({
    log,
    clock: processClock,
    delaysMs: WHEEL_DELAYS_MS,
    group: GROUP,
    topicOf,
    bounds: { itemsMax, window: { ...OFFSET_WINDOW_BOUNDS, recordsMax } },
    onPoison,
    onFault: () => undefined,
  });
  const reading = wheel.startReading();
  for (let step = 0; wheel.health() !== null && step < 20; step++) await clock.advance(JOIN_MS);
  await reading;
  return {
    wheel,
    log,
    clock: processClock,
    crash() {
      log.crash();
      processClock.kill();
    },
  };
}

async function openBroker(clock: ManualClock, partitions: number): Promise<MemoryLog> {
  const log = openMemoryLog({ clock, partitions });
  const topics = WHEEL_DELAYS_MS.map(topicOf);
  const common = { partitions, replication: 1, minInSync: 1, retentionMs: -1, timestamps: "log" } as const;
  await log.ensureTopics(topics.map((topic) => ({ topic, ...common })));
  return log;
}

/** The embedded set in memory, its retry queue replaced by a wheel with one partition for each topic. */
async function openWheelHarness(bounds: HarnessBounds = {}): Promise<Harness> {
  const embedded = await openMemoryHarness(bounds);
  const { clock } = embedded;
  const broker = await openBroker(clock, 1);
  const options = bounds.retryItemsMax === undefined ? {} : { itemsMax: bounds.retryItemsMax };
  let life = await openLife(broker, clock, options);
  clock.stepWall(START_MS - clock.now());
  return {
    clock,
    get drivers() {
      return { ...embedded.drivers, retryQueue: readAtOnce(life.wheel, clock) };
    },
    async reopen() {
      life.crash();
      await embedded.reopen();
      life = await openLife(broker, clock, options);
      await clock.advance(CRASH_MS);
    },
    async [Symbol.asyncDispose]() {
      const closing = life.wheel[Symbol.asyncDispose]();
      await clock.advance(JOIN_MS);
      await closing;
      await embedded[Symbol.asyncDispose]();
    },
  };
}

/** The suite takes right after schedule(): what was appended is read by then, as it is a moment later on any log. */
function readAtOnce(wheel: TimingWheel, clock: ManualClock): TimingWheel {
  return {
    ...wheel,
    async schedule(items) {
      await wheel.schedule(items);
      await clock.settle();
    },
  };
}

retryQueueContract("wheel", openWheelHarness);

/** Takes for ever; the time of each hand-out by the id of the item's first member. */
function recordTimes(life: Life, clock: ManualClock): { times: Map<string, number[]>; items: RetryItem[] } {
  const times = new Map<string, number[]>();
  const items: RetryItem[] = [];
  const loop = async (): Promise<void> => {
    for (;;) {
      const taken = await life.wheel.take(100, NEVER);
      if (taken.length === 0) return;
      items.push(...taken);
      for (const id of memberIdsOf(taken).flat()) times.set(id, [...(times.get(id) ?? []), clock.now()]);
      await life.wheel.ack(taken);
    }
  };
  void loop();
  return { times, items };
}

const after = (id: string, notBeforeMs: number): Scheduled => sampleScheduled([sampleEnvelope(id)], { notBeforeMs });

const WAITS_MS = [7000, 59_999, MINUTE_MS, 20 * MINUTE_MS, 14 * HOUR_MS, 14 * HOUR_MS + 1234, 49 * HOUR_MS];

test("wheel: waits of seconds to days end on the millisecond in steady state, once each", async () => {
  const clock = createManualClock(START_MS);
  const broker = await openBroker(clock, 3);
  const life = await openLife(broker, clock);
  const { times, items } = recordTimes(life, clock);
  const startMs = clock.now();
  await life.wheel.schedule(WAITS_MS.map((waitMs) => after(`evt_${waitMs}`, startMs + waitMs)));
  await clock.advance(50 * HOUR_MS);
  assert.deepEqual(
    WAITS_MS.map((waitMs) => times.get(`evt_${waitMs}`)),
    WAITS_MS.map((waitMs) => [startMs + waitMs]),
  );
  assert.equal(items.length, WAITS_MS.length);
  assert.deepEqual(await life.wheel.depth(), { count: 0, oldestAtMs: null });
});

test("wheel: waits end on time after a graceful restart", async () => {
  const clock = createManualClock(START_MS);
  const broker = await openBroker(clock, 3);
  const first = await openLife(broker, clock);
  const startMs = clock.now();
  await first.wheel.schedule(WAITS_MS.map((waitMs) => after(`evt_${waitMs}`, startMs + waitMs)));
  await clock.advance(2000);
  const closing = first.wheel[Symbol.asyncDispose]();
  await clock.advance(100);
  await closing;
  const second = await openLife(broker, clock);
  const { times } = recordTimes(second, clock);
  await clock.advance(50 * HOUR_MS);
  for (const waitMs of WAITS_MS) assert.deepEqual(times.get(`evt_${waitMs}`), [startMs + waitMs], `${waitMs}`);
});

test("wheel: after a crash what was due meanwhile comes within session timeout and rebalance, the rest on time", async () => {
  const clock = createManualClock(START_MS);
  const broker = await openBroker(clock, 3);
  const first = await openLife(broker, clock);
  const second = await openLife(broker, clock);
  await clock.advance(CRASH_MS);
  const startMs = clock.now();
  await first.wheel.schedule(WAITS_MS.map((waitMs) => after(`evt_${waitMs}`, startMs + waitMs)));
  await clock.advance(6500);
  first.crash();
  const { times } = recordTimes(second, clock);
  await clock.advance(50 * HOUR_MS);
  for (const waitMs of WAITS_MS) {
    const lateMs = (times.get(`evt_${waitMs}`)?.[0] ?? Infinity) - startMs - waitMs;
    assert.ok(lateMs >= 0 && lateMs <= (waitMs < 10_000 ? CRASH_MS + 1000 : 0), `${waitMs} is ${lateMs} ms late`);
  }
});

test("wheel: crashes at any time lose nothing, and hand nothing out early", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 3 * HOUR_MS }), { minLength: 1, maxLength: 20 }),
      fc.array(fc.integer({ min: 1, max: HOUR_MS }), { minLength: 1, maxLength: 4 }),
      async (waits, crashes) => {
        const clock = createManualClock(START_MS);
        const broker = await openBroker(clock, 2);
        let life = await openLife(broker, clock);
        const dueAtMs = waits.map((waitMs) => clock.now() + waitMs);
        await life.wheel.schedule(dueAtMs.map((atMs, index) => after(`evt_${index}`, atMs)));
        const records = [recordTimes(life, clock)];
        for (const waitMs of crashes) {
          await clock.advance(waitMs);
          life.crash();
          life = await openLife(broker, clock);
          records.push(recordTimes(life, clock));
        }
        await clock.advance(4 * HOUR_MS);
        dueAtMs.forEach((atMs, index) => {
          const given = records.flatMap(({ times }) => times.get(`evt_${index}`) ?? []);
          assert.ok(given.length > 0, `item ${index} is there`);
          assert.ok(Math.min(...given) >= atMs, `item ${index} is not early`);
        });
        assert.equal((await life.wheel.depth()).count, 0);
      },
    ),
    { numRuns: 15 },
  );
});

test("wheel: what was handed out by a process that lives on is told as a repeat by the next owner", async () => {
  const clock = createManualClock(START_MS);
  const broker = await openBroker(clock, 2);
  const first = await openLife(broker, clock);
  await first.wheel.schedule([after("evt_a", clock.now()), after("evt_b", clock.now())]);
  const held = await first.wheel.take(10, NEVER);
  assert.ok(held.every(({ isRepeat }) => !isRepeat));
  const second = await openLife(broker, clock);
  await clock.advance(CRASH_MS);
  await first.wheel.ack(held);
  first.crash();
  const { items } = recordTimes(second, clock);
  await clock.advance(2 * CRASH_MS);
  assert.ok(items.length > 0 && items.every(({ isRepeat }) => isRepeat));
});

test("wheel: a topic of long waits is read a little at a time, and a flood beyond the window is late by the reading alone", async () => {
  const clock = createManualClock(START_MS);
  const broker = await openBroker(clock, 1);
  const life = await openLife(broker, clock, { recordsMax: 1000 });
  const { times } = recordTimes(life, clock);
  const dueAtMs = clock.now() + 20 * MINUTE_MS;
  for (let block = 0; block < 3; block++) {
    await life.wheel.schedule(
      Array.from({ length: 1000 }, (_, index) => after(`evt_${block}_${index}`, dueAtMs + index)),
    );
  }
  await clock.advance(21 * MINUTE_MS);
  assert.equal(times.size, 3000);
  const late = Array.from(times, ([id, [atMs]]) => (atMs ?? Infinity) - dueAtMs - Number(id.split("_")[2]));
  assert.ok(Math.min(...late) >= 0 && Math.max(...late) <= 2500, `late by up to ${Math.max(...late)} ms`);
});

test("wheel: a hop that the log refuses is repeated until it is taken", async () => {
  const clock = createManualClock(START_MS);
  const broker = await openBroker(clock, 1);
  const life = await openLife(broker, clock);
  const { times } = recordTimes(life, clock);
  const dueAtMs = clock.now() + 3 * MINUTE_MS;
  await life.wheel.schedule([after("evt_a", dueAtMs)]);
  await clock.advance(MINUTE_MS - 2000);
  broker.setReachable(false);
  await clock.advance(40_000);
  broker.setReachable(true);
  await clock.advance(3 * MINUTE_MS);
  assert.deepEqual(times.get("evt_a"), [dueAtMs]);
});

test("wheel: a record that does not read back is given away and then settled", async () => {
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
  assert.equal((await life.wheel.depth()).count, 0);
});

test("wheel: schedule() rejects with store-unavailable while the log does not answer", async () => {
  const clock = createManualClock(START_MS);
  const broker = await openBroker(clock, 1);
  const life = await openLife(broker, clock);
  broker.setReachable(false);
  const scheduled = assert.rejects(life.wheel.schedule([after("evt_a", clock.now())]), withCode("store-unavailable"));
  await clock.advance(15_000);
  await scheduled;
});

test("wheel plan: any wait ends at its time after a bounded number of hops, whatever the log adds to each", () => {
  const plan = createWheelPlan(WHEEL_DELAYS_MS);
  const wait = fc.integer({ min: 0, max: DELIVER_AHEAD_MS_MAX });
  fc.assert(
    fc.property(wait, fc.integer({ min: 0, max: 4000 }), (waitMs, appendMs) => {
      let nowMs = 0;
      let hops = 0;
      for (; ; hops++) {
        const delayMs = plan.delayFor(waitMs - nowMs);
        const hopAtMs = nowMs + appendMs + delayMs;
        // Read one lead before its hop time at the latest, and held from then on.
        if (plan.isLast(hopAtMs, waitMs)) {
          const readAtMs = Math.max(nowMs + appendMs, hopAtMs - plan.leadMs);
          assert.ok(readAtMs <= Math.max(waitMs, nowMs + appendMs), "it is read before its time");
          break;
        }
        nowMs = hopAtMs;
        assert.ok(waitMs - nowMs >= 5000, "there is something left to wait");
      }
      assert.ok(hops <= 64, `${hops} hops`);
    }),
  );
});

test("wheel plan: the names of delays", () => {
  assert.deepEqual([...WHEEL_DELAYS_MS, 1500, 90_000].map(delayName), [
    ..."5s 1m 10m 1h 6h 1d".split(" "),
    "1500ms",
    "90s",
  ]);
});

test("wheel heap: pops in order what was pushed in any", () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), (numbers) => {
      const heap = createHeap<number>((left, right) => left - right);
      numbers.forEach(heap.push);
      heap.retain((number) => number % 3 !== 0);
      const popped = Array.from({ length: heap.size() }, () => heap.pop());
      assert.deepEqual(
        popped,
        numbers.filter((number) => number % 3 !== 0).toSorted((left, right) => left - right),
      );
    }),
  );
});

test("wheel known items: the second of a pair is known, and memory ends", () => {
  const known = createKnownItems(10);
  assert.deepEqual([known.enter(after("evt_a", 1)), known.enter(after("evt_a", 2))], [false, true]);
  for (let index = 0; index < 30; index++) known.enter(after(`evt_${index}`, 1));
  assert.equal(known.enter(after("evt_a", 1)), false);
});

test("retry record: a group of 1,000 members and 512 KiB fits and reads back", () => {
  const members = sampleEnvelopes(1000, {
    tenant: "t".repeat(64),
    type: "order.".padEnd(128, "x"),
    traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    body: new Uint8Array(515),
  }).map((member, index) => ({ ...member, id: `evt_${index}`.padEnd(64, "y"), directoryVersion: index }));
  const item = sampleScheduled(members, { group: { id: "grp_a", closedAtMs: START_MS } });
  const record = retryRecord({ item, hops: 3, topic: "t", nowMs: START_MS });
  assert.ok(record.value !== null && record.value.length <= RETRY_VALUE_BYTES_MAX);
  const parsed = parseRetryRecord({ ...record, partition: 0, offset: 0 });
  assert.deepEqual(parsed, { kind: "item", item, hops: 3 });
});

test("retry record: bytes cut anywhere are poison, never a throw", () => {
  const item = sampleScheduled(sampleEnvelopes(3), { group: { id: "grp_a", closedAtMs: START_MS } });
  const record = retryRecord({ item, hops: 0, topic: "t", nowMs: START_MS });
  const value = record.value ?? new Uint8Array();
  for (let length = 0; length < value.length; length++) {
    const parsed = parseRetryRecord({ ...record, partition: 0, offset: 0, value: value.subarray(0, length) });
    if (parsed.kind === "item") assert.ok(parsed.item.members.length < 3);
  }
  assert.equal(parseRetryRecord({ ...record, partition: 0, offset: 0, value: null }).kind, "poison");
});
