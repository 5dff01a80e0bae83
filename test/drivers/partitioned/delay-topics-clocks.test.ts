/** The retry queue on the log while the clocks of its processes are wrong: waits are as long as they were planned. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { START_MS, sampleEnvelope, sampleScheduled } from "../../support/samples.ts";
import { HOUR_MS, MINUTE_MS, after, openBroker, openLife, recordTimes } from "./delay-topics-harness.ts";

const OFFSETS_MS = [0, -MINUTE_MS, MINUTE_MS, -HOUR_MS, HOUR_MS];
const WAITS_MS = [1000, 10_000, 2 * MINUTE_MS, 25 * MINUTE_MS, 3 * HOUR_MS];
/** By which a wait that is told from the time of its append may be longer. */
const APPEND_MS = 100;

async function openTwo(partitions = 1) {
  const clock = createManualClock(START_MS);
  const broker = await openBroker(clock, partitions);
  const offsets = { planner: 0, reader: 0 };
  const planner = await openLife(broker, clock, { aheadMs: () => offsets.planner, isReading: false });
  const reader = await openLife(broker, clock, { aheadMs: () => offsets.reader });
  return { clock, offsets, planner, ...recordTimes(reader, clock) };
}

/** As `run-delivery` plans it, by the planner's clock. */
async function planAll(
  two: Pick<Awaited<ReturnType<typeof openTwo>>, "planner" | "clock">,
  name: string,
): Promise<ReadonlyMap<string, number>> {
  const nowMs = two.planner.clock.now();
  const items = WAITS_MS.map((waitMs) => after(`${name}_${waitMs}`, nowMs + waitMs));
  await two.planner.delayTopics.schedule(items);
  return new Map(WAITS_MS.map((waitMs) => [`${name}_${waitMs}`, two.clock.now() + waitMs]));
}

function assertTimes(times: ReadonlyMap<string, readonly number[]>, dueAtMs: ReadonlyMap<string, number>): void {
  for (const [id, dueMs] of dueAtMs) {
    const found = times.get(id) ?? [];
    assert.equal(found.length, 1, `${id} came ${found.length} times`);
    const lateMs = (found[0] ?? 0) - dueMs;
    assert.ok(lateMs >= 0 && lateMs <= APPEND_MS, `${id} came ${lateMs} ms after its time`);
  }
}

for (const offsetMs of OFFSETS_MS) {
  const words = `${offsetMs / 1000} s ahead`;

  test(`delay topics: what a process plans whose clock is ${words} waits as long as it was planned`, async () => {
    const two = await openTwo();
    const before = await planAll(two, "before");
    await two.clock.advance(1000);
    two.offsets.planner = offsetMs;
    const since = await planAll(two, "since");
    await two.clock.advance(4 * HOUR_MS);
    assertTimes(two.times, before);
    assertTimes(two.times, since);
  });

  test(`delay topics: what a process plans and hands out itself whose clock is ${words} waits as long as it was planned`, async () => {
    const clock = createManualClock(START_MS);
    const broker = await openBroker(clock, 1);
    const life = await openLife(broker, clock, { aheadMs: () => offsetMs });
    const { times } = recordTimes(life, clock);
    await clock.advance(1000);
    const dueAtMs = await planAll({ planner: life, clock }, "own");
    await clock.advance(4 * HOUR_MS);
    assertTimes(times, dueAtMs);
  });

  test(`delay topics: a process whose clock is set to ${words} holds nothing back for it`, async () => {
    const two = await openTwo();
    const before = await planAll(two, "before");
    await two.clock.advance(MINUTE_MS);
    two.offsets.reader = offsetMs;
    const since = await planAll(two, "since");
    await two.clock.advance(4 * HOUR_MS);
    if (offsetMs <= 0) {
      assertTimes(two.times, before);
      assertTimes(two.times, since);
    }
    // A clock that is ahead cannot be told from a sleep of the machine: waits end early.
    for (const [id, dueMs] of [...before, ...since])
      assert.ok((two.times.get(id)?.[0] ?? Infinity) <= dueMs + APPEND_MS, id);
    for (const found of two.times.values()) assert.equal(found.length, 1);
  });
}

test("delay topics: an event that is put aside at its deliver_at waits as long as was planned, whatever the planner's clock shows", async () => {
  for (const offsetMs of OFFSETS_MS) {
    const two = await openTwo();
    const dueAtMs = new Map([["evt_aside", two.clock.now() + 2000]]);
    two.offsets.planner = offsetMs;
    const wait = {
      cause: "parked",
      endpointId: null,
      putAside: 1,
      notBeforeMs: two.planner.clock.now() + 2000,
    } as const;
    const envelope = sampleEnvelope("evt_aside", { deliverAtMs: START_MS });
    await two.planner.delayTopics.schedule([sampleScheduled([envelope], wait)]);
    await two.clock.advance(2 * HOUR_MS);
    assertTimes(two.times, dueAtMs);
  }
});

test("delay topics: a deliver_at is the log's time of day, whatever the clocks of the processes show", async () => {
  const two = await openTwo();
  const deliverAtMs = START_MS + 2 * HOUR_MS;
  const planned = { cause: "deliver-at", notBeforeMs: deliverAtMs, endpointId: null, attempt: 1 } as const;
  two.offsets.planner = -HOUR_MS;
  await two.planner.delayTopics.schedule([sampleScheduled([sampleEnvelope("evt_at", { deliverAtMs })], planned)]);
  await two.clock.advance(MINUTE_MS);
  two.offsets.reader = -HOUR_MS;
  await two.clock.advance(3 * HOUR_MS);
  assert.deepEqual(two.times.get("evt_at"), [deliverAtMs]);
});
