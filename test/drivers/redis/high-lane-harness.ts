/**
 * Lanes on a real Redis under test: all three as instances of the HIGH lane's driver, so that the whole contract is about
 * it; HIGH alone beside embedded ones, as it is used; and several processes on one HIGH lane.
 */
import assert from "node:assert/strict";
import { laneOf } from "@posthaste/shared/domain/envelope.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { Lane } from "@posthaste/shared/domain/event.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";
import { createMergedLane } from "@posthaste/shared/drivers/distributed/merged-lane.ts";
import type { HighLane, HighLaneOptions } from "@posthaste/shared/drivers/redis/high-lane/high-lane.ts";
import { createRedisHighLane } from "@posthaste/shared/drivers/redis/high-lane/high-lane.ts";
import type { RedisCommands, RedisScript } from "@posthaste/shared/drivers/redis/client/redis-commands.ts";
import { LEASE_MS } from "@posthaste/shared/drivers/redis/high-lane/lease-keeper.ts";
import { admitsAll } from "@posthaste/shared/lib/flow-rows.ts";
import type { LaneItem, Lanes } from "@posthaste/shared/ports/lanes.ts";
import type { RetryQueue, Scheduled } from "@posthaste/shared/ports/retry-queue.ts";
import { seededEntropy } from "../../support/ambient.ts";
import type { EmbeddedHarness } from "../../contract/embedded-harness.ts";
import { openMemoryHarness } from "../../contract/embedded-harness.ts";
import type { Harness, HarnessBounds } from "../../contract/harness.ts";
import type { RedisHarness, RedisProcess } from "./harness.ts";
import { openRedisHarness } from "./harness.ts";

export interface LaneWorld extends AsyncDisposable {
  readonly harness: RedisHarness;
  readonly process: RedisProcess;
  /** Another process on the same lane; it lives until the end, or until it is disposed and silent. */
  lane(parts?: Partial<HighLaneOptions>): HighLane;
}

/** What is told to a lane about items that were scheduled. */
type Note = (items: readonly Scheduled[]) => Promise<void>;

/** A lane of our own for each priority, with one bound for all. */
export async function openThreeLanes(bounds: HarnessBounds = {}): Promise<Harness> {
  const others = await openMemoryHarness(bounds);
  let note: Note = () => Promise.resolve();
  const open = openRedisHarness((process) => {
    const laneOfName = (lane: Lane) => createLane(process, { lane, share: shareByLane[lane] });
    const own = { high: laneOfName("high"), medium: laneOfName("medium"), low: laneOfName("low") };
    note = async (items) => {
      for (const envelope of items.flatMap(({ members }) => members)) await own[laneOf(envelope)].note([envelope]);
    };
    return { lanes: gatherLanes(own), dispose: () => disposeAll(Object.values(own)) };
  });
  return join(await open(bounds), others, LANES, (items) => note(items));
}

/** HIGH is ours, the others are those of an embedded set; HIGH has what those leave of the bound. */
export async function openRoutedLanes(bounds: HarnessBounds = {}): Promise<Harness> {
  const others = await openMemoryHarness(bounds);
  const embedded = embeddedLanes(others);
  const open = openRedisHarness((process) => {
    const itemsMax = bounds.laneItemsMax ?? UNBOUNDED;
    const own = createLane(process, {
      bounds: {
        get itemsMax() {
          return itemsMax - embedded.count();
        },
        bytesMax: bounds.laneBytesMax ?? UNBOUNDED,
      },
    });
    const lanes = gatherLanes({ high: own, medium: embedded.of("medium"), low: embedded.of("low") });
    return { lanes, dispose: () => disposeAll([own]) };
  });
  return join(await open(bounds), others, ["high"], () => Promise.resolve());
}

export async function openLaneWorld(options: { readonly shards?: number } = {}): Promise<LaneWorld> {
  const lanes: HighLane[] = [];
  let opened: RedisProcess | undefined;
  const harness = await openRedisHarness((process) => {
    opened = process;
    return { dispose: () => disposeAll(lanes) };
  }, options)();
  assert.ok(opened);
  const process = opened;
  return {
    harness,
    process,
    lane(parts = {}) {
      const lane = createLane(process, parts);
      lanes.push(lane);
      return lane;
    },
    [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose](),
  };
}

/** What can be taken now; none when there is nothing. */
export async function takeNow(world: LaneWorld, lane: HighLane, max = 100): Promise<readonly LaneItem[]> {
  const controller = new AbortController();
  const taken = lane.take(max, controller.signal);
  await world.harness.clock.settle();
  controller.abort();
  return await taken;
}

export function marksOf(items: readonly LaneItem[]): readonly (readonly [string, boolean])[] {
  return items.map(({ envelope, isRepeat }) => [envelope.id, isRepeat]);
}

/** The same commands, with another way to run some of the scripts. */
export function withRun(
  commands: RedisCommands,
  run: (script: RedisScript, next: () => ReturnType<RedisCommands["run"]>) => ReturnType<RedisCommands["run"]>,
): RedisCommands {
  return { ...commands, run: (script, keys, args) => run(script, () => commands.run(script, keys, args)) };
}

const UNBOUNDED = Number.MAX_SAFE_INTEGER;
const shareByLane = { high: 1, medium: 0.9, low: 0.8 } as const satisfies Record<Lane, number>;
/** Each process of a test has another seed, hence another holder. */
let seed = 1;

function createLane(process: RedisProcess, parts: Partial<HighLaneOptions>): HighLane {
  return createRedisHighLane({
    commands: process.commands,
    keys: process.keys,
    clock: process.clock,
    entropy: seededEntropy(seed++),
    bounds: { itemsMax: process.bounds.laneItemsMax ?? UNBOUNDED, bytesMax: process.bounds.laneBytesMax ?? UNBOUNDED },
    onPoison: () => undefined,
    onFault: process.onFault,
    ...parts,
  });
}

type OneLane = Omit<HighLane, "note" | typeof Symbol.asyncDispose>;

/** As in the distributed set: what is not admitted is kept beside the lane. */
function gatherLanes(own: Record<Lane, OneLane>): Lanes {
  const merged = (lane: Lane) =>
    createMergedLane(
      { monotonic: () => 0 },
      [{ take: (max, signal) => own[lane].take(max, signal), leaveOut: (tenants) => own[lane].leaveOut(tenants) }],
      (items) => void own[lane].release(items),
    );
  const byName = { high: merged("high"), medium: merged("medium"), low: merged("low") };
  async function each<Item>(
    items: readonly Item[],
    laneOfItem: (item: Item) => Lane,
    call: (lane: OneLane, items: readonly Item[]) => Promise<void>,
  ): Promise<void> {
    for (const lane of LANES) {
      const part = items.filter((item) => laneOfItem(item) === lane);
      if (part.length > 0) await call(own[lane], part);
    }
  }
  const byLane = ({ lane }: LaneItem): Lane => lane;
  return {
    append: (envelopes) => each<Envelope>(envelopes, laneOf, (lane, part) => lane.append(part)),
    take: (lane, max, signal, admits = admitsAll) => byName[lane].take(max, signal, admits),
    lookAgain: (lane) => byName[lane].lookAgain(),
    ack: (items) => each(items, byLane, (lane, part) => lane.ack(part)),
    release: (items) => each(items, byLane, (lane, part) => lane.release(part)),
    depth: (lane) => own[lane].depth(),
  };
}

function embeddedLanes(harness: EmbeddedHarness) {
  let count = 0;
  const lanes = (): Lanes => harness.drivers.lanes;
  const recount = async (): Promise<void> => {
    count = (await lanes().depth("medium")).count + (await lanes().depth("low")).count;
  };
  return {
    count: () => count,
    of: (lane: Lane): OneLane => ({
      append: (envelopes) => lanes().append(envelopes).finally(recount),
      take: (max, signal) => lanes().take(lane, max, signal),
      leaveOut: () => undefined,
      ack: (items) => lanes().ack(items).finally(recount),
      release: (items) => lanes().release(items),
      depth: () => lanes().depth(lane),
    }),
  };
}

/**
 * Both harnesses as one with one time; the retry queue is the embedded one, and `note` hears what it gets. A crash is the
 * hardest for leases: the process dies while it holds all that waited, and another waits for them to run out.
 */
function join(redis: RedisHarness, embedded: EmbeddedHarness, ours: readonly Lane[], note: Note): Harness {
  return {
    clock: {
      now: () => redis.clock.now(),
      stepWall: (ms) => redis.clock.stepWall(ms),
      async advance(ms) {
        await redis.clock.advance(ms);
        await embedded.clock.advance(ms);
      },
      async settle() {
        await redis.clock.settle();
        await embedded.clock.settle();
      },
    },
    get drivers() {
      const { retryQueue } = embedded.drivers;
      const schedule: RetryQueue["schedule"] = async (items) => {
        await note(items);
        return await retryQueue.schedule(items);
      };
      return { ...redis.drivers, retryQueue: { ...retryQueue, schedule } };
    },
    async reopen() {
      for (const lane of ours) await takeAll(redis, lane);
      await embedded.reopen();
      await redis.reopen();
      await redis.clock.advance(LEASE_MS);
    },
    async [Symbol.asyncDispose]() {
      await redis[Symbol.asyncDispose]();
      await embedded[Symbol.asyncDispose]();
    },
  };
}

async function takeAll(harness: RedisHarness, lane: Lane): Promise<void> {
  const controller = new AbortController();
  const taken = harness.drivers.lanes.take(lane, UNBOUNDED, controller.signal);
  await harness.clock.settle();
  controller.abort();
  await taken;
}

async function disposeAll(lanes: readonly HighLane[]): Promise<void> {
  for (const lane of lanes) await lane[Symbol.asyncDispose]();
}
