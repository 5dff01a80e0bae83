import { createLowThrottle } from "@posthaste/processor/intake/low-throttle.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { PROCESSOR_LIMITS } from "@posthaste/processor/limits.ts";
import { HAND_MAX, createHands, createOutstanding, runItem } from "@posthaste/processor/intake/queue-items.ts";
import { createLaneLoop } from "@posthaste/processor/intake/lane-loop.ts";
import { UNACKED_MAX, createWindow } from "@posthaste/processor/intake/window.ts";
import type { Ending } from "@posthaste/processor/delivery/pending-delivery.ts";
import { silentTelemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import type { Lane } from "@posthaste/shared/domain/event.ts";
import { flowOf } from "@posthaste/shared/domain/flow.ts";
import type { Admits } from "@posthaste/shared/lib/flow-rows.ts";
import { PullWaiters } from "@posthaste/shared/lib/waiters.ts";
import type { LaneItem, Lanes } from "@posthaste/shared/ports/lanes.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import type { Scheduled } from "@posthaste/shared/ports/retry-queue.ts";
import { openProcessorHarness } from "../../support/processor-harness.ts";
import { START_MS, endpointOf, envelopeOf, ids } from "../../support/samples.ts";

function scheduled(id: string, parts: Partial<Scheduled> = {}): Scheduled {
  return {
    cause: "retry",
    notBeforeMs: START_MS + 1000,
    endpointId: "ep1",
    generation: 0,
    attempt: 2,
    deferrals: 0,
    unmade: 0,
    putAside: 0,
    members: [envelopeOf(id)],
    group: null,
    ...parts,
  };
}

/** One flow alone gets 4 of 8. */
const small = { ...PROCESSOR_LIMITS.windowItems, medium: 8, low: 8 };

test("a lane's window bounds what is taken: the rest stays in the lane, and flows on as items are settled", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  harness.world.script("ep1", () => ({ status: 200, afterMs: 1000 }));
  const processor = harness.start({ limits: { windowItems: small, holdUpMsMax: 60_000 } });
  await harness.publish(...ids("evt_", 12).map((id) => envelopeOf(id)));
  await harness.clock.advance(900);
  assert.deepEqual([processor.outstanding(), harness.world.sent.length], [4, 4]);
  await harness.clock.advance(3000);
  assert.deepEqual([harness.world.sent.length, new Set(harness.world.idsTo("ep1")).size], [12, 12]);
});

test("while no ack becomes durable a lane goes on for so many, then waits, and goes on when it does", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { eventTypes: ["order.*"] }));
  const acking = Promise.withResolvers<void>();
  const medium = PROCESSOR_LIMITS.windowItems.medium;
  harness.start({
    wrap: (drivers) => ({
      ...drivers,
      lanes: {
        ...drivers.lanes,
        async ack(items) {
          await acking.promise;
          await drivers.lanes.ack(items);
        },
      },
    }),
  });
  const count = UNACKED_MAX + 2 * medium;
  await harness.publish(...ids("evt_", count).map((id) => envelopeOf(id)));
  await harness.clock.advance(60_000);
  const sent = harness.world.sent.length;
  assert.ok(sent >= UNACKED_MAX && sent <= UNACKED_MAX + medium, `${sent} were sent`);
  acking.resolve();
  await harness.clock.advance(60_000);
  assert.equal(new Set(harness.world.idsTo("ep1")).size, count);
  assert.equal(harness.world.sent.length, count);
});

test("a full window of one lane stops no other lane", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { eventTypes: ["slow.*"] }), endpointOf("ep2", { eventTypes: ["order.*"] }));
  harness.world.script("ep1", () => "hang");
  harness.start({ limits: { windowItems: small, holdUpMsMax: 60_000 } });
  await harness.publish(
    ...ids("evt_", 12).map((id) => envelopeOf(id, "medium", { type: "slow.one" })),
    envelopeOf("quick", "high"),
  );
  await harness.clock.advance(100);
  assert.deepEqual(harness.world.idsTo("ep2"), ["quick"]);
});

test("a group that waits for more is closed when its lane's window is crowded, so that others are read", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1", { batch: { maxEvents: 100, maxWaitMs: 60_000 } }));
  harness.start({ limits: { windowItems: small } });
  await harness.publish(...ids("evt_", 10).map((id) => envelopeOf(id, "low")));
  await harness.clock.advance(1000);
  const sizes = harness.world.sent.map(({ body }) => (JSON.parse(body) as { data: unknown[] }).data.length);
  assert.deepEqual(sizes, [4, 4]);
});

test("a due retry goes on with its attempt, on time", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  harness.start();
  await harness.drivers.retryQueue.schedule([scheduled("evt_1")]);
  await harness.clock.advance(2000);
  assert.deepEqual(
    harness.world.sent.map(({ atMs, headers }) => [atMs - START_MS, headers["posthaste-attempt"]]),
    [[1000, "2"]],
  );
  assert.equal((await harness.depths()).retry, 0);
});

test("a deferred delivery comes back as the same attempt", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  harness.start();
  await harness.drivers.retryQueue.schedule([scheduled("evt_1", { cause: "parked", attempt: 1, deferrals: 3 })]);
  await harness.clock.advance(2000);
  assert.deepEqual(
    harness.world.sent.map(({ headers }) => headers["posthaste-attempt"]),
    ["1"],
  );
});

test("a replay of an attempt that the ledger shows as made is skipped, and acked", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  harness.start();
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(100);
  await harness.drivers.retryQueue.schedule([scheduled("evt_1", { cause: "replay", attempt: 1 })]);
  await harness.clock.advance(2000);
  assert.deepEqual([harness.world.sent.length, (await harness.depths()).retry], [1, 0]);
});

test("a replay in a new generation is delivered again, under the same webhook-id", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  harness.start();
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(100);
  await harness.drivers.retryQueue.schedule([
    scheduled("evt_1", { cause: "replay", attempt: 1, generation: START_MS }),
  ]);
  await harness.clock.advance(2000);
  assert.deepEqual(harness.world.idsTo("ep1"), ["evt_1", "evt_1"]);
});

test("two copies of one replay that come due together are one attempt", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  harness.start();
  const copy = scheduled("evt_1", { cause: "replay", attempt: 1 });
  await harness.drivers.retryQueue.schedule([copy, copy]);
  await harness.clock.advance(10_000);
  assert.deepEqual([harness.world.idsTo("ep1"), (await harness.depths()).retry], [["evt_1"], 0]);
});

test("of two copies of a replay whose attempt fails both are settled, and one retry is planned", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  harness.world.script("ep1", () => ({ status: 500 }));
  harness.start();
  const copy = scheduled("evt_1", { cause: "replay", attempt: 1 });
  await harness.drivers.retryQueue.schedule([copy, copy]);
  await harness.clock.advance(3000);
  assert.deepEqual([harness.world.sent.length, (await harness.depths()).retry], [1, 1]);
});

test("a take that fails is repeated, and the lane goes on", async () => {
  await using harness = await openProcessorHarness();
  await harness.add(endpointOf("ep1"));
  let failures = 0;
  harness.start({
    wrap: (drivers) => ({
      ...drivers,
      lanes: {
        ...drivers.lanes,
        take(lane, max, signal) {
          failures += 1;
          return failures <= 9 ? Promise.reject(new Error("no store")) : drivers.lanes.take(lane, max, signal);
        },
      },
    }),
  });
  await harness.publish(envelopeOf("evt_1"));
  await harness.clock.advance(10_000);
  assert.deepEqual(harness.world.idsTo("ep1"), ["evt_1"]);
});

/** A lane of `count` items, each of which fans out into `deliveries`; what its loop did with them. */
function openLane(
  count: number,
  deliveries: number,
  whenEmpty?: () => Promise<readonly LaneItem[]>,
  isSurplus = false,
) {
  const aside: string[] = [];
  const started: ((ending: Ending) => void)[] = [];
  const released: LaneItem[] = [];
  const items = Array.from({ length: count }, (_, index) => ({
    envelope: envelopeOf(`evt_${index}`),
    isRepeat: false,
    isSurplus,
  }));
  const waiters = new PullWaiters<LaneItem>({
    pull(max, admits) {
      const pulled: LaneItem[] = [];
      while (items.length > 0 && pulled.length < max && admits("acme", flowOf(items[0]?.envelope.type ?? ""))) {
        pulled.push(...(items.splice(0, 1) as unknown as LaneItem[]));
      }
      return pulled;
    },
  });
  const lanes = {
    take: (_lane: Lane, max: number, signal: AbortSignal, admits: Admits) =>
      whenEmpty === undefined ? waiters.take(max, signal, admits) : whenEmpty(),
    lookAgain: () => waiters.wake(),
    async release(given: readonly LaneItem[]) {
      released.push(...given);
      items.push(...given.map((item) => ({ ...item, isSurplus })));
    },
  } as unknown as Lanes;
  const stop = new AbortController();
  const window = createWindow({ itemsMax: 100, bytesMax: 1_000_000, perFree: 8 }, () => lanes.lookAgain("medium"));
  const loop = createLaneLoop({
    queue: "medium",
    telemetry: silentTelemetry.processor,
    deliverEvent: (_envelope, { weigh }) => {
      weigh(deliveries);
      return new Promise((end) => {
        started.push(end);
      });
    },
    outstanding: createOutstanding(),
    standstill: { watch: () => undefined },
    company: { met: () => undefined },
    hands: createHands(
      { soon: (callback) => void setImmediate(callback), monotonic: () => performance.now() },
      { isMixed: () => false },
    ),
    untilStored: async (_what, write) => ({ kind: "done", value: await write() }),
    settlements: { ack: (_queue, _item, acked) => acked() },
    lane: "medium",
    lanes,
    window,
    groups: null,
    clock: createManualClock(START_MS),
    onFailure: assert.ifError,
    putAside: {
      event(envelope, _deferrals, why) {
        assert.equal(why, "crowded");
        aside.push(envelope.id);
        return Promise.resolve("settled");
      },
    },
    lowThrottle: createLowThrottle(createManualClock(START_MS), { isEnough: () => false }),
  });
  const ended = loop(stop.signal);
  return { started, released, aside, stop, ended, clock: createManualClock(START_MS) };
}

test("a window bounds deliveries, not events: items taken at once start as the deliveries of others end", async () => {
  const lane = openLane(10, 40);
  await lane.clock.settle();
  assert.equal(lane.started.length, 2);
  lane.started[0]?.("settled");
  await lane.clock.settle();
  assert.equal(lane.started.length, 3);
  lane.stop.abort();
  await lane.ended;
});

test("what was taken and finds no room any more goes back to the lane at once, and keeps nobody waiting", async () => {
  const lane = openLane(10, 40);
  await lane.clock.settle();
  assert.deepEqual(
    [lane.started.length, lane.released.map(({ envelope }) => envelope.id)],
    [2, ids("evt_", 10).slice(2)],
  );
  lane.stop.abort();
  await lane.ended;
});

test("what has no room and cannot stay in the lane is put aside, and is not released", async () => {
  const lane = openLane(10, 40, undefined, true);
  await lane.clock.settle();
  assert.deepEqual([lane.started.length, lane.aside, lane.released], [2, ids("evt_", 10).slice(2), []]);
  lane.stop.abort();
  await lane.ended;
});

test("an item whose work throws and that cannot be put aside is released after a while, and not at once", async () => {
  const clock = createManualClock(START_MS);
  const failures: string[] = [];
  const released: string[] = [];
  const outstanding = createOutstanding();
  const processed: unknown[] = [];
  const deps = {
    queue: "low" as const,
    telemetry: { processed: (...told: unknown[]) => void processed.push(told) },
    window: createWindow({ itemsMax: 10, bytesMax: 1000, perFree: 8 }, () => undefined),
    outstanding,
    standstill: { watch: () => undefined },
    company: { met: () => undefined },
    hands: { max: () => 1, taken: () => Promise.resolve() },
    untilStored: async <Value>(_what: string, write: () => Promise<Value>) =>
      ({ kind: "done", value: await write() }) as const,
    settlements: { ack: () => assert.fail("acked") },
    clock,
    onFailure: (what: string) => void failures.push(what),
  };
  const queue = {
    ack: () => Promise.resolve(),
    release: async (items: readonly string[]) => void released.push(...items),
  };
  const broken = (): Promise<Ending> => Promise.reject(new TypeError("a bug"));
  const ended = runItem(deps, queue, "item", { tenant: "acme", flow: 1, bytes: 1 }, { run: broken, putAside: broken });
  await clock.advance(4000);
  assert.deepEqual([failures, released, outstanding.count()], [["deliver", "put aside"], [], 1]);
  await clock.advance(2000);
  await ended;
  assert.deepEqual([released, outstanding.count()], [["item"], 0]);
  assert.deepEqual(processed, [["low", "released", 5000]]);
});

test("a queue that gives nothing although nobody stops ends its loop with an error, which is begun again after a wait", async () => {
  const lane = openLane(0, 1, () => Promise.resolve([]));
  await assert.rejects(lane.ended, /it is closed/);
});

for (const from of ["a lane", "the retry queue"] as const) {
  test(`a hand full from ${from} is worked on in one turn of the event loop, and the next in the next`, async () => {
    await using harness = await openProcessorHarness();
    const all = ids("evt_", 40 * HAND_MAX.alone);
    const due = { cause: "deliver-at", notBeforeMs: START_MS, endpointId: null, attempt: 1 } as const;
    if (from === "a lane") await harness.publish(...all.map((id) => envelopeOf(id)));
    else await harness.drivers.retryQueue.schedule(all.map((id) => scheduled(id, due)));
    let hands = 0;
    // Nobody subscribes to them, so that each is settled at once.
    harness.start({
      wrap: (drivers) => ({
        ...drivers,
        lanes: {
          ...drivers.lanes,
          take(lane, ...wish) {
            if (lane === "medium" && from === "a lane") hands += 1;
            return drivers.lanes.take(lane, ...wish);
          },
        },
        retryQueue: {
          ...drivers.retryQueue,
          take(...wish) {
            if (from === "the retry queue") hands += 1;
            return drivers.retryQueue.take(...wish);
          },
        },
      }),
    });
    for (let turn = 1; turn <= 20; turn++) {
      const before = hands;
      await new Promise<void>((resolve) => void setImmediate(resolve));
      assert.ok(hands - before <= 2, `${hands - before} hands in one turn`);
    }
    await harness.clock.advance(10_000);
    assert.ok(hands > 40, `${hands} hands`);
    assert.equal((await harness.depths()).medium, 0);
  });
}
