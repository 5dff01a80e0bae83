/** The lanes on the log under test: over the log in memory, beside an embedded set that does the rest. */
import { openMemoryLog } from "@posthaste/shared/drivers/memory/partition-log.ts";
import type { PartitionedLanes, PartitionedLanesOptions } from "@posthaste/shared/drivers/partitioned/lanes/lanes.ts";
import { createPartitionedLanes } from "@posthaste/shared/drivers/partitioned/lanes/lanes.ts";
import type { OffsetWindowBounds } from "@posthaste/shared/drivers/partitioned/window/offset-window.ts";
import type { PoisonRecord } from "@posthaste/shared/drivers/partitioned/window/quarantine.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { MemoryLog } from "@posthaste/shared/drivers/memory/partition-log.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { RecordProducer } from "@posthaste/shared/ports/partition-log.ts";
import { plainChance } from "../../support/ambient.ts";
import type { ManualClock } from "../../support/clocks/manual-clock.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { openMemoryHarness } from "../../contract/embedded-harness.ts";
import type { Harness } from "../../contract/harness.ts";
import { START_MS } from "../../support/samples.ts";

export const TOPICS = { high: "lane.high", medium: "lane.medium", low: "lane.low" } as const;
export const GROUP = "lanes";
/** What a reader needs to join, and what it takes until a crashed one is missed and its partitions are dealt out. */
export const JOIN_MS = 1000;
export const CRASH_MS = 8000;

const WIDE: OffsetWindowBounds = { recordsMax: 100_000, bytesMax: 2 ** 30, spanMax: 100_000, ageMsMax: 3_600_000 };

export interface LogWorld {
  readonly clock: ManualClock;
  readonly partitionLog: MemoryLog;
  /** What was given away, in order. Assign `relieve` and `onPoison` to make them fail or wait. */
  readonly offloaded: string[];
  readonly poison: PoisonRecord[];
  offload(envelopes: readonly Envelope[]): Promise<void>;
  onPoison(poison: PoisonRecord): Promise<void>;
  /** A process that joined the groups; with it come the rebalances that it causes. */
  start(bounds?: Partial<OffsetWindowBounds>): Promise<LogProcess>;
}

export interface LogProcess {
  readonly lanes: PartitionedLanes;
  /** Dies without a word; its session has ended when it resolves. */
  crash(): Promise<void>;
}

/** `startMs`: the time when the first process has joined. */
export async function openLogWorld(partitions: number, startMs = START_MS): Promise<LogWorld> {
  const clock = createManualClock(startMs - JOIN_MS);
  const partitionLog = openMemoryLog({ clock, partitions });
  await partitionLog.ensureTopics(
    Object.values(TOPICS).map((topic) => ({
      topic,
      partitions,
      replication: 1,
      minInSync: 1,
      retentionMs: -1,
      timestamps: "log",
    })),
  );
  const world: LogWorld = {
    clock,
    partitionLog,
    offloaded: [],
    poison: [],
    offload(envelopes) {
      world.offloaded.push(...envelopes.map(({ id }) => id));
      return Promise.resolve();
    },
    onPoison(record) {
      world.poison.push(record);
      return Promise.resolve();
    },
    async start(bounds = {}) {
      const processClock = clock.forProcess();
      const processLog = partitionLog.forProcess(processClock);
      const producer = processLog.openProducer("lanes");
      const lanes = createLanesOf(world, { partitionLog: processLog, clock: processClock, producer, bounds });
      await passing(clock, lanes.startReading(), JOIN_MS);
      return {
        lanes,
        async crash() {
          processClock.kill();
          processLog.crash();
          await clock.advance(CRASH_MS);
        },
      };
    },
  };
  return world;
}

/** Lanes that give away to the world, on this view of its log. */
export function createLanesOf(
  world: LogWorld,
  parts: {
    readonly partitionLog: PartitionedLanesOptions["partitionLog"];
    readonly clock: Clock;
    readonly producer: RecordProducer;
    readonly bounds?: Partial<OffsetWindowBounds>;
  },
): PartitionedLanes {
  const { partitionLog, clock, producer, bounds } = parts;
  return createPartitionedLanes({
    partitionLog,
    clock,
    entropy: plainChance,
    topics: TOPICS,
    group: GROUP,
    producers: { high: producer, medium: producer, low: producer },
    windowBounds: { ...WIDE, ...bounds },
    onPoison: (record) => world.onPoison(record),
    offload: (envelopes) => world.offload(envelopes),
  });
}

/** Lets time pass while something waits for it. */
export async function passing<Result>(clock: ManualClock, wait: Promise<Result>, ms: number): Promise<Result> {
  await clock.advance(ms);
  return await wait;
}

/** For the contract of the port `lanes`. One partition, because the suite looks at the order of all. */
export async function openLogLanesHarness(): Promise<Harness> {
  const embedded = await openMemoryHarness();
  const world = await openLogWorld(1);
  let process = await world.start();
  return {
    clock: world.clock,
    get drivers() {
      return { ...embedded.drivers, lanes: settledLanes(process.lanes, world.clock) };
    },
    async reopen() {
      await process.crash();
      process = await world.start();
    },
    async [Symbol.asyncDispose]() {
      await passing(world.clock, process.lanes[Symbol.asyncDispose](), JOIN_MS);
      await embedded[Symbol.asyncDispose]();
    },
  };
}

/** A record reaches its reader a moment after its append; the suite looks at once. */
function settledLanes(lanes: PartitionedLanes, clock: ManualClock): Harness["drivers"]["lanes"] {
  return {
    ...lanes,
    async append(envelopes) {
      await lanes.append(envelopes);
      await clock.settle();
    },
  };
}
