/** The retry queue on the log under test: processes on the log in memory, and time by hand. */
import { OFFSET_WINDOW_BOUNDS } from "@posthaste/shared/drivers/partitioned/window/offset-window.ts";
import type { PoisonRecord } from "@posthaste/shared/drivers/partitioned/window/quarantine.ts";
import type { DelayTopics } from "@posthaste/shared/drivers/partitioned/delay-topics/delay-topics.ts";
import { createDelayTopics } from "@posthaste/shared/drivers/partitioned/delay-topics/delay-topics.ts";
import { DELAYS_MS, delayName } from "@posthaste/shared/drivers/partitioned/delay-topics/plan.ts";
import type { MemoryLog } from "@posthaste/shared/drivers/memory/partition-log.ts";
import { openMemoryLog } from "@posthaste/shared/drivers/memory/partition-log.ts";
import type { RetryItem, Scheduled } from "@posthaste/shared/ports/retry-queue.ts";
import { plainChance } from "../../support/ambient.ts";
import type { ManualClock, ProcessClock } from "../../support/clocks/manual-clock.ts";
import { openMemoryHarness } from "../../contract/embedded-harness.ts";
import type { Harness, HarnessBounds } from "../../contract/harness.ts";
import { memberIdsOf } from "../../contract/harness.ts";
import { START_MS, sampleEnvelope, sampleScheduled } from "../../support/samples.ts";

export const GROUP = "retry";
export const NEVER = new AbortController().signal;
/** Session timeout, the heartbeat until the rebalance, and the news of it. */
export const CRASH_MS = 6000 + 500 + 100;
export const JOIN_MS = 1000;
export const MINUTE_MS = 60_000;
export const HOUR_MS = 3600_000;

export const topicOf = (delayMs: number) => `posthaste.retry.${delayName(delayMs)}`;

export const after = (id: string, notBeforeMs: number): Scheduled =>
  sampleScheduled([sampleEnvelope(id)], { notBeforeMs });

/** One process. */
export interface Life {
  readonly delayTopics: DelayTopics;
  readonly partitionLog: MemoryLog;
  readonly clock: ProcessClock;
  /** Records that it wrote, and timers that it set. */
  readonly counts: { appends: number; timers: number };
  crash(): void;
  /** Closes the delay topics; time passes until it has left. */
  stop(): Promise<void>;
}

export interface LifeOptions {
  readonly itemsMax?: number;
  readonly recordsMax?: number;
  readonly onPoison?: (poison: PoisonRecord) => Promise<void>;
  /** What the time of day of this process is ahead of the broker's. */
  readonly aheadMs?: () => number;
  /** False: it plans alone. */
  readonly isReading?: boolean;
}

/** One process on the broker; time passes until it has joined. */
export async function openLife(broker: MemoryLog, clock: ManualClock, options: LifeOptions = {}): Promise<Life> {
  const counts = { appends: 0, timers: 0 };
  const { aheadMs = () => 0 } = options;
  const processClock = withOffset(clock.forProcess(), aheadMs);
  const partitionLog = broker.forProcess(processClock);
  const { itemsMax = 1_000_000, recordsMax = 10_000, onPoison = () => Promise.resolve() } = options;
  const delayTopics = createDelayTopics({
    partitionLog: countingLog(partitionLog, counts),
    clock: countingClock(processClock, counts),
    entropy: plainChance,
    delaysMs: DELAYS_MS,
    group: GROUP,
    topicOf,
    bounds: { itemsMax, window: { ...OFFSET_WINDOW_BOUNDS, recordsMax } },
    onPoison,
    onFault: () => undefined,
  });
  if (options.isReading !== false) {
    const reading = delayTopics.startReading();
    for (let step = 0; delayTopics.health() !== null && step < 20; step++) await clock.advance(JOIN_MS);
    await reading;
  }
  return {
    delayTopics,
    partitionLog,
    clock: processClock,
    counts,
    crash() {
      partitionLog.crash();
      processClock.kill();
    },
    async stop() {
      const closing = delayTopics[Symbol.asyncDispose]();
      await clock.advance(100);
      await closing;
    },
  };
}

function withOffset(clock: ProcessClock, aheadMs: () => number): ProcessClock {
  return { ...clock, now: () => clock.now() + aheadMs() };
}

function countingLog(partitionLog: MemoryLog, counts: Life["counts"]): MemoryLog {
  return {
    ...partitionLog,
    openProducer(name) {
      const producer = partitionLog.openProducer(name);
      return {
        ...producer,
        append(records) {
          counts.appends += records.length;
          return producer.append(records);
        },
      };
    },
  };
}

function countingClock(clock: ProcessClock, counts: Life["counts"]): ProcessClock {
  return {
    ...clock,
    timer(ms, callback) {
      counts.timers++;
      return clock.timer(ms, callback);
    },
  };
}

export async function openBroker(clock: ManualClock, partitions: number, retentionMs = -1): Promise<MemoryLog> {
  const partitionLog = openMemoryLog({ clock, partitions });
  const common = { partitions, replication: 1, minInSync: 1, retentionMs, timestamps: "log" } as const;
  await partitionLog.ensureTopics(DELAYS_MS.map((delayMs) => ({ topic: topicOf(delayMs), ...common })));
  return partitionLog;
}

/** Takes and acknowledges for ever; the times of the hand-outs by the id of the item's first member. */
export function recordTimes(life: Life, clock: ManualClock): { times: Map<string, number[]>; items: RetryItem[] } {
  const times = new Map<string, number[]>();
  const items: RetryItem[] = [];
  const loop = async (): Promise<void> => {
    for (;;) {
      const taken = await life.delayTopics.take(100, NEVER);
      if (taken.length === 0) return;
      items.push(...taken);
      for (const id of memberIdsOf(taken).flat()) times.set(id, [...(times.get(id) ?? []), clock.now()]);
      // As the processor does: the next are taken while the ack waits for its commit.
      void life.delayTopics.ack(taken).catch(() => undefined);
    }
  };
  void loop();
  return { times, items };
}

/** The embedded set in memory, its retry queue replaced by delay topics with one partition for each topic. */
export async function openDelayTopicsHarness(bounds: HarnessBounds = {}): Promise<Harness> {
  const embedded = await openMemoryHarness(bounds);
  const { clock } = embedded;
  const broker = await openBroker(clock, 1);
  const options = bounds.retryItemsMax === undefined ? {} : { itemsMax: bounds.retryItemsMax };
  let life = await openLife(broker, clock, options);
  clock.stepWall(START_MS - clock.now());
  return {
    clock,
    get drivers() {
      return { ...embedded.drivers, retryQueue: readAtOnce(life.delayTopics, clock) };
    },
    async reopen() {
      life.crash();
      await embedded.reopen();
      life = await openLife(broker, clock, options);
      await clock.advance(CRASH_MS);
    },
    async [Symbol.asyncDispose]() {
      await life.stop();
      await embedded[Symbol.asyncDispose]();
    },
  };
}

/** The suite takes right after schedule(): what was appended is read by then, as it is a moment later on any log. */
function readAtOnce(delayTopics: DelayTopics, clock: ManualClock): DelayTopics {
  return {
    ...delayTopics,
    async schedule(items) {
      const result = await delayTopics.schedule(items);
      await clock.settle();
      return result;
    },
  };
}
