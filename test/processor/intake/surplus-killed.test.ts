/**
 * A process that dies with surplus in its hands: events that a lane could not keep, on their way to the retry queue. Before the
 * write they are in the lane alone, and between the write and the ack in both. They are never in neither, and what the lane hands
 * out again is marked as a repeat, so that the ledger is asked before it is sent a second time.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createPutAside } from "@posthaste/processor/delivery/put-aside.ts";
import { createLaneLoop } from "@posthaste/processor/intake/lane-loop.ts";
import { createLowThrottle } from "@posthaste/processor/intake/low-throttle.ts";
import { createOutstanding } from "@posthaste/processor/intake/queue-items.ts";
import { silentTelemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import type { Window } from "@posthaste/processor/intake/window.ts";
import { KEPT_MAX } from "@posthaste/shared/drivers/distributed/merged-lane.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { LaneItem } from "@posthaste/shared/ports/lanes.ts";
import { openModelHarness } from "../../contract/distributed-harness.ts";
import { openMemoryHarness } from "../../contract/embedded-harness.ts";
import type { HarnessClock } from "../../contract/harness.ts";
import { memberIdsOf, NEVER } from "../../contract/harness.ts";
import { openLogWorld } from "../../drivers/partitioned/lanes-harness.ts";
import { plainChance } from "../../support/ambient.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { sampleEnvelope, sampleEnvelopes, START_MS, TENANT } from "../../support/samples.ts";

const LINES = ["before the write", "between the write and the ack"] as const;
/** What is put aside is due again within it. */
const AGAIN_MS = 5000;

interface Queues {
  readonly lane: "high" | "medium";
  readonly lanes: Drivers["lanes"];
  readonly retryQueue: Drivers["retryQueue"];
  readonly clock: HarnessClock;
}

/** A window in which `TENANT` has all that it may have. */
const crowded: Window = {
  room: () => Promise.resolve(1000),
  admission: () => (tenant) => tenant !== TENANT,
  isOpen: ({ tenant }) => tenant !== TENANT,
  hold: () => ({ weigh: () => undefined, free: () => undefined, settled: () => () => undefined }),
  count: () => 0,
  isFull: () => false,
  isCrowded: () => false,
  isWide: () => false,
};

/** Runs the loop of a lane until it dies at `line`; what it had in its hands. */
async function surplusAtDeath({ lane, lanes, retryQueue, clock }: Queues, line: string): Promise<ReadonlySet<string>> {
  const inHand = new Set<string>();
  const never = <Value>(): Promise<Value> => new Promise(() => undefined);
  const putAside = createPutAside({
    clock,
    entropy: plainChance,
    retryQueue: {
      async schedule(items) {
        for (const { members } of items) for (const { id } of members) inHand.add(id);
        if (line === "between the write and the ack") await retryQueue.schedule(items);
        return await never();
      },
    },
    settle: { missed: () => assert.fail("nothing is missed"), deferred: () => assert.fail("nothing is deferred") },
    untilStored: async (_what, write) => ({ kind: "done", value: await write() }),
  });
  const loop = createLaneLoop({
    lane,
    lanes,
    putAside,
    window: crowded,
    groups: null,
    clock: { sleep: never, monotonic: () => 0 },
    queue: lane,
    telemetry: silentTelemetry.processor,
    outstanding: createOutstanding(),
    standstill: { watch: () => undefined },
    company: { met: () => undefined },
    hands: { max: () => 16, taken: () => Promise.resolve() },
    untilStored: async (_what, write) => ({ kind: "done", value: await write() }),
    settlements: { ack: () => assert.fail("nothing is acknowledged") },
    deliverEvent: () => never(),
    onFailure: assert.ifError,
    lowThrottle: createLowThrottle(createManualClock(START_MS), { isEnough: () => false }),
  });
  void loop(NEVER);
  for (let step = 0; inHand.size === 0 && step < 20; step++) {
    await clock.advance(1000);
    lanes.lookAgain(lane);
    await clock.settle();
  }
  assert.ok(inHand.size > 0, "there was surplus");
  return inHand;
}

/** What the queue hands out while `ms` pass. */
async function taken<Item>(
  clock: HarnessClock,
  ms: number,
  take: (signal: AbortSignal) => Promise<readonly Item[]>,
): Promise<readonly Item[]> {
  const stop = new AbortController();
  const taking = take(stop.signal);
  await clock.advance(ms);
  await clock.settle();
  stop.abort();
  return await taking;
}

/** All that both queues hand out to the next process. */
async function takeAll({ lane, lanes, retryQueue, clock }: Queues, count: number) {
  const fromLane = new Map<string, LaneItem>();
  for (let turn = 0; turn < 100 && fromLane.size < count; turn++) {
    const items = await taken(clock, 100, (signal) => lanes.take(lane, 1000, signal));
    for (const item of items) fromLane.set(item.envelope.id, item);
  }
  const due = await taken(clock, AGAIN_MS, (signal) => retryQueue.take(count, signal));
  return { fromLane, due };
}

function assertNothingLost(
  { fromLane, due }: Awaited<ReturnType<typeof takeAll>>,
  inHand: ReadonlySet<string>,
  line: string,
): void {
  for (const id of inHand) assert.equal(fromLane.get(id)?.isRepeat, true, id);
  const written = line === "between the write and the ack" ? [...inHand] : [];
  assert.deepEqual(memberIdsOf(due).flat().toSorted(), written.toSorted());
}

for (const line of LINES) {
  test(`a lane of the log, killed ${line} of surplus, loses nothing and tells the repeats`, async () => {
    const world = await openLogWorld(1);
    await using embedded = await openMemoryHarness();
    const { retryQueue } = embedded.drivers;
    const clock: HarnessClock = {
      now: () => world.clock.now(),
      settle: () => world.clock.settle(),
      stepWall: (ms) => world.clock.stepWall(ms),
      async advance(ms) {
        await world.clock.advance(ms);
        await embedded.clock.advance(ms);
      },
    };
    const process = await world.start({ recordsMax: 10 });
    await process.lanes.append(sampleEnvelopes(30));
    await process.lanes.append([sampleEnvelope("small", { tenant: "globex" })]);
    const inHand = await surplusAtDeath({ lane: "medium", lanes: process.lanes, retryQueue, clock }, line);
    await process.crash();
    const next = await world.start();
    const left = await takeAll({ lane: "medium", lanes: next.lanes, retryQueue, clock }, 31);
    assertNothingLost(left, inHand, line);
  });

  test(`the HIGH lane of Redis and the log, killed ${line} of surplus, loses nothing and tells the repeats`, async () => {
    await using harness = await openModelHarness();
    const { clock } = harness;
    const count = KEPT_MAX + 100;
    const high = { lane: "high", clock } as const;
    await harness.drivers.lanes.append(sampleEnvelopes(count, { priority: "HIGH" }));
    const { lanes, retryQueue } = harness.drivers;
    const inHand = await surplusAtDeath({ ...high, lanes, retryQueue }, line);
    await harness.reopen();
    const next = harness.drivers;
    const left = await takeAll({ ...high, lanes: next.lanes, retryQueue: next.retryQueue }, count);
    assertNothingLost(left, inHand, line);
    // What the lane merely kept comes back as well.
    assert.equal(left.fromLane.size, count);
  });
}
