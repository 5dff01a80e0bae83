/** The retry queue on the log through the lives of its processes: joins, leaves, crashes, lost partitions, poison. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PoisonRecord } from "@posthaste/shared/drivers/partitioned/window/quarantine.ts";
import type { MemoryLog } from "@posthaste/shared/drivers/memory/partition-log.ts";
import type { RetryItem } from "@posthaste/shared/ports/retry-queue.ts";
import fc from "fast-check";
import type { ManualClock } from "../../support/clocks/manual-clock.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { memberIdsOf } from "../../contract/harness.ts";
import type { Life } from "./delay-topics-harness.ts";
import {
  CRASH_MS,
  GROUP,
  HOUR_MS,
  JOIN_MS,
  MINUTE_MS,
  NEVER,
  after,
  openBroker,
  openLife,
  recordTimes,
  topicOf,
} from "./delay-topics-harness.ts";
import { START_MS } from "../../support/samples.ts";

const SMALLEST_MS = 5000;

async function committedOf(broker: MemoryLog): Promise<number> {
  const depths = await broker.depth(GROUP, topicOf(SMALLEST_MS));
  return depths.reduce((sum, { committed }) => sum + committed, 0);
}

async function appendPoison(broker: MemoryLog, count: number, partition = 0): Promise<void> {
  const place = { topic: topicOf(SMALLEST_MS), partition, key: null, timestampMs: START_MS };
  const value = new Uint8Array([1, 2, 3]);
  await broker
    .openProducer("other")
    .append(Array.from({ length: count }, () => ({ ...place, value, headers: { cause: "whim" } })));
}

test("delay topics: acks of a partition that was lost commit nothing, and its next owner gets the items as repeats", async () => {
  const clock = createManualClock(START_MS);
  const broker = await openBroker(clock, 2);
  const first = await openLife(broker, clock);
  await first.delayTopics.schedule(Array.from({ length: 20 }, (_, index) => after(`evt_${index}`, clock.now())));
  const held = await first.delayTopics.take(100, NEVER);
  assert.equal(held.length, 20);
  const second = await openLife(broker, clock);
  await clock.advance(JOIN_MS);
  const moved = await second.delayTopics.take(100, NEVER);
  assert.ok(moved.length > 0 && moved.length < 20, `${moved.length} moved`);
  assert.ok(moved.every(({ isRepeat }) => isRepeat));
  const movedIds = new Set(memberIdsOf(moved).flat());
  await first.delayTopics.ack(held.filter(({ members }) => movedIds.has(members[0]?.id ?? "")));
  await first.delayTopics.release(held.filter(({ members }) => movedIds.has(members[0]?.id ?? "")));
  await clock.advance(1000);
  assert.equal(await committedOf(broker), 0);
  const acking = first.delayTopics.ack(held);
  await clock.advance(1000);
  await acking;
  assert.equal(await committedOf(broker), 20 - moved.length);
});

test("delay topics: an item that is handed back twice, or is done already, is handed out once, or not at all", async () => {
  const clock = createManualClock(START_MS);
  const broker = await openBroker(clock, 1);
  const { delayTopics } = await openLife(broker, clock);
  await delayTopics.schedule([after("evt_a", clock.now()), after("evt_b", clock.now())]);
  const [one, two] = await delayTopics.take(2, NEVER);
  assert.ok(one && two);
  await delayTopics.release([one]);
  await delayTopics.release([one, two]);
  await delayTopics.ack([two]);
  assert.deepEqual(memberIdsOf(await delayTopics.take(10, NEVER)), [["evt_a"]]);
  const controller = new AbortController();
  const more = delayTopics.take(10, controller.signal);
  await clock.advance(HOUR_MS);
  controller.abort();
  assert.deepEqual(await more, []);
});

test("delay topics: an item that went on to another topic is a repeat, because a crash on the way leaves two of it", async () => {
  const clock = createManualClock(START_MS);
  const broker = await openBroker(clock, 1);
  const { delayTopics } = await openLife(broker, clock);
  await clock.advance(1000);
  await delayTopics.schedule([after("evt_near", clock.now() + 110_000), after("evt_far", clock.now() + 130_000)]);
  await clock.advance(130_000);
  const items = await delayTopics.take(10, NEVER);
  assert.deepEqual(
    items.map(({ members, isRepeat }) => [members[0]?.id, isRepeat]),
    [
      ["evt_near", false],
      ["evt_far", true],
    ],
  );
});

test("delay topics: poison is settled only after it was kept, and a crash before that gives it away again", async () => {
  const clock = createManualClock(START_MS);
  const broker = await openBroker(clock, 1);
  const given: PoisonRecord[] = [];
  let keep = Promise.withResolvers<void>();
  const onPoison = (poison: PoisonRecord): Promise<void> => {
    given.push(poison);
    return keep.promise;
  };
  const first = await openLife(broker, clock, { onPoison });
  await appendPoison(broker, 2);
  await clock.advance(MINUTE_MS);
  assert.deepEqual([given.map(({ offset }) => offset), await committedOf(broker)], [[0], 0]);
  first.crash();
  keep = Promise.withResolvers();
  await openLife(broker, clock, { onPoison });
  await clock.advance(CRASH_MS);
  assert.deepEqual(given.map(({ offset }) => offset).slice(1), [0]);
  keep.resolve();
  await clock.advance(1000);
  assert.deepEqual([given.map(({ offset }) => offset).slice(1), await committedOf(broker)], [[0, 1], 2]);
});

test("delay topics: poison of a partition that was lost is left to its next owner", async () => {
  const clock = createManualClock(START_MS);
  const broker = await openBroker(clock, 2);
  const calls: string[] = [];
  const refuse = (name: string) => (poison: PoisonRecord) => {
    calls.push(`${name} ${poison.partition}`);
    return Promise.reject(new Error("no room"));
  };
  await openLife(broker, clock, { onPoison: refuse("first") });
  await appendPoison(broker, 1, 0);
  await appendPoison(broker, 1, 1);
  await clock.advance(1000);
  await openLife(broker, clock, { onPoison: refuse("second") });
  await clock.advance(JOIN_MS);
  calls.length = 0;
  await clock.advance(2 * MINUTE_MS);
  assert.equal(new Set(calls).size, 2, "each partition has one who tries");
  assert.equal(new Set(calls.map((call) => call.split(" ")[0])).size, 2);
});

test("delay topics: with two processes, one more that joins and one that leaves, long waits end on the millisecond", async () => {
  const clock = createManualClock(START_MS);
  const broker = await openBroker(clock, 3);
  const first = await openLife(broker, clock);
  const second = await openLife(broker, clock);
  const startMs = clock.now();
  const waits = Array.from({ length: 40 }, (_, index) => 20 * MINUTE_MS + index * 21 * MINUTE_MS);
  await second.delayTopics.schedule(waits.map((waitMs) => after(`evt_${waitMs}`, startMs + waitMs)));
  const times = [recordTimes(first, clock), recordTimes(second, clock)];
  await clock.advance(2 * HOUR_MS);
  times.push(recordTimes(await openLife(broker, clock), clock));
  await clock.advance(6 * HOUR_MS);
  await first.stop();
  await clock.advance(8 * HOUR_MS);
  for (const waitMs of waits) {
    const given = times.flatMap((one) => one.times.get(`evt_${waitMs}`) ?? []);
    assert.deepEqual(given, [startMs + waitMs], `${waitMs}`);
  }
});

type Step =
  | { readonly kind: "schedule" | "advance"; readonly ms: number }
  | { readonly kind: "join" | "stop" | "crash" | "ack-held"; readonly ms: number };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    kind: fc.constantFrom<Step["kind"][]>(
      "schedule",
      "schedule",
      "schedule",
      "advance",
      "advance",
      "join",
      "stop",
      "crash",
      "ack-held",
    ),
    ms: fc.oneof(fc.integer({ min: 0, max: 20_000 }), fc.integer({ min: 0, max: HOUR_MS })),
  }),
  { minLength: 3, maxLength: 25 },
);

/** What all processes together did with the items. */
interface Book {
  readonly dueAtMs: Map<string, number>;
  readonly given: Set<string>;
  readonly acked: Set<string>;
  readonly faults: unknown[];
  turn: number;
}

interface Worker extends Life {
  readonly held: RetryItem[];
}

/** Takes for ever: most items are done at once, some are handed back once, some are kept in hand. */
function work(life: Life, clock: ManualClock, book: Book): Worker {
  const held: RetryItem[] = [];
  const returned = new Set<string>();
  const loop = async (): Promise<void> => {
    for (
      let taken = await life.delayTopics.take(3, NEVER);
      taken.length > 0;
      taken = await life.delayTopics.take(3, NEVER)
    ) {
      for (const item of taken) {
        const id = item.members[0]?.id ?? "";
        assert.ok(clock.now() >= (book.dueAtMs.get(id) ?? Infinity), `${id} is early`);
        if (!item.isRepeat && !returned.has(id)) assert.ok(!book.given.has(id), `${id} was in hand before`);
        book.given.add(id);
        const choice = book.turn++ % 5;
        if (choice === 0) held.push(item);
        else if (choice === 1 && !returned.has(id)) {
          returned.add(id);
          await life.delayTopics.release([item]);
        } else {
          book.acked.add(id);
          await life.delayTopics.ack([item]);
        }
      }
    }
  };
  loop().catch((error: unknown) => book.faults.push(error));
  return { ...life, held };
}

async function apply(step: Step, workers: Worker[], broker: MemoryLog, clock: ManualClock, book: Book): Promise<void> {
  const worker = workers[step.ms % workers.length];
  assert.ok(worker);
  if (step.kind === "advance") await clock.advance(step.ms);
  else if (step.kind === "schedule") {
    const id = `evt_${book.dueAtMs.size}`;
    book.dueAtMs.set(id, clock.now() + 3 * step.ms);
    await worker.delayTopics.schedule([after(id, clock.now() + 3 * step.ms)]);
  } else if (step.kind === "join" && workers.length < 3) {
    workers.push(work(await openLife(broker, clock), clock, book));
  } else if (step.kind === "ack-held") {
    const items = worker.held.splice(0, 2);
    for (const id of memberIdsOf(items).flat()) book.acked.add(id);
    const acking = worker.delayTopics.ack(items);
    await clock.advance(300);
    await acking;
  } else if (workers.length > 1 && step.kind !== "join") {
    workers.splice(workers.indexOf(worker), 1);
    if (step.kind === "stop") await worker.stop();
    else worker.crash();
  }
}

test("delay topics: through any schedules, acks, releases, joins, leaves and crashes nothing is lost, early, or late in peace", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (list) => {
      const clock = createManualClock(START_MS);
      const broker = await openBroker(clock, 2);
      const book: Book = { dueAtMs: new Map(), given: new Set(), acked: new Set(), faults: [], turn: 0 };
      const workers = [work(await openLife(broker, clock), clock, book)];
      for (const step of list) await apply(step, workers, broker, clock, book);
      for (const worker of workers) worker.crash();
      const last = await openLife(broker, clock);
      const { times } = recordTimes(last, clock);
      await clock.advance(CRASH_MS);
      const calmMs = clock.now();
      await clock.advance(4 * HOUR_MS);
      for (const [id, dueAtMs] of book.dueAtMs) {
        const given = times.get(id) ?? [];
        assert.ok(book.acked.has(id) || given.length > 0, `${id} is lost`);
        assert.ok(
          given.every((atMs) => atMs >= dueAtMs),
          `${id} is early`,
        );
        if (dueAtMs > calmMs) assert.equal(given[0], dueAtMs, `${id} is not on time`);
      }
      assert.equal((await last.delayTopics.depth()).count, 0);
      assert.deepEqual(book.faults, []);
    }),
    { numRuns: 100 },
  );
});
