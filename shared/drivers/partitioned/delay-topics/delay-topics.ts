/**
 * The retry queue on a log: a wheel of topics, each with one constant delay. An item goes to the topic of the largest
 * delay that fits, hops on when that is over, and waits in memory for the last moments, exact to the millisecond.
 *
 * An item is appended to the next topic before its old offset is settled: a crash in between leaves it twice, never not
 * at all. An acknowledged item that lies behind an unsettled one comes again after a crash, as a repeat.
 * Needs a log whose clock differs from ours by less than 2 s; beyond it items are late, never early.
 */
import { PosthasteError } from "../../../domain/errors.ts";
import type { Clock } from "../../../lib/ambient.ts";
import type { LogReader, PartitionLog } from "../../../ports/partition-log.ts";
import type { RetryItem, RetryQueue, ScheduleResult } from "../../../ports/retry-queue.ts";
import { SCHEDULED } from "../../../ports/retry-queue.ts";
import type { OffsetWindowBounds } from "../window/offset-window.ts";
import { createPartitionEnds } from "../window/partition-ends.ts";
import type { OnPoison } from "../window/quarantine.ts";
import { retryRecord } from "./retry-record.ts";
import { createWheelAdmission } from "./admission.ts";
import { createWheelAlarm } from "./alarm.ts";
import { createWheelDue } from "./due.ts";
import { hopAll } from "./relays.ts";
import { createKnownItems } from "./recent-entries.ts";
import { createWheelListener, placeOf } from "./listener.ts";
import type { WheelPartition } from "./partition.ts";
import { entryOfItem } from "./partition.ts";
import { createWheelPlan } from "./plan.ts";

export interface TimingWheelBounds {
  /** Items of all processes that are not settled. */
  readonly itemsMax: number;
  /** What one process holds of one partition. */
  readonly window: OffsetWindowBounds;
}

/**
 * Up to 10,000 items and 8 MiB for each partition of each topic. The last minute of a wait ends in memory, so that about
 * 300 items may fall due in a second for each partition of the smallest delay; beyond it they are read late.
 */
export const TIMING_WHEEL_BOUNDS: TimingWheelBounds = {
  itemsMax: 20_000_000,
  window: { recordsMax: 10_000, bytesMax: 8 * 1024 * 1024, spanMax: 100_000, ageMsMax: 60_000 },
};

const FULL: ScheduleResult = { kind: "full", retryAfterS: 10 };

export interface TimingWheelOptions {
  readonly log: PartitionLog;
  readonly clock: Clock;
  readonly delaysMs: readonly number[];
  /** One group for all processes; not that of the lanes. */
  readonly group: string;
  readonly topicOf: (delayMs: number) => string;
  readonly bounds: TimingWheelBounds;
  readonly onPoison: OnPoison;
  /** Told of what failed and is repeated: hops, questions to the log. */
  readonly onFault: (what: string, error: unknown) => void;
}

export interface DelayTopics extends RetryQueue, AsyncDisposable {
  /** Joins the group; before it nothing is handed out. May be called again after it failed. Throws what the log throws. */
  startReading(): Promise<void>;
  /** Null while the log is read; else one sentence. */
  health(): string | null;
}

/** The topics must be there. Dispose it when nobody takes any more: commits what is settled, then leaves the group. */
export function createDelayTopics(options: TimingWheelOptions): DelayTopics {
  const { clock, topicOf } = options;
  const parts = assemble(options);
  const { plan, due, partitions, producer, admission, turn, countUnsettled } = parts;
  const reading = createReading(options, parts);

  return {
    async schedule(items) {
      if (items.length === 0) return SCHEDULED;
      const nowMs = clock.now();
      const records = items.map((item) => {
        const topic = topicOf(plan.delayFor(item.notBeforeMs - nowMs));
        return retryRecord({ item, hops: 0, topic, nowMs });
      });
      if (!(await admission.reserve(items.length))) return FULL;
      try {
        await producer.append(records);
        return SCHEDULED;
      } catch (error) {
        admission.free(items.length);
        throw error;
      }
    },
    take: due.waiters.take,
    async ack(items) {
      const homes = settleAll(items);
      admission.free(homes.settledCount);
      turn();
      await Promise.all([...homes.partitions].map((home) => home.commits.committed()));
    },
    release(items) {
      for (const item of items) {
        const entry = entryOfItem(item);
        if (!entry.isOut || entry.home.isLost || entry.item === null) continue;
        entry.isOut = false;
        due.add(entry);
      }
      turn();
      return Promise.resolve();
    },
    async depth() {
      return { count: await countUnsettled(), oldestAtMs: earliest(partitions.values()) };
    },
    ...reading,
    async [Symbol.asyncDispose]() {
      await parts.stop();
      await reading.leave();
      await producer[Symbol.asyncDispose]();
    },
  };
}

type Parts = ReturnType<typeof assemble>;

function assemble({ log, clock, group, topicOf, bounds, onFault, delaysMs }: TimingWheelOptions) {
  const plan = createWheelPlan(delaysMs);
  const topics = plan.delaysMs.map(topicOf);
  const closing = new AbortController();
  const partitions = new Map<string, WheelPartition>();
  const hopProducer = log.openProducer("retry-hops");
  const due = createWheelDue({ clock, known: createKnownItems(), wakeAt: (atMs) => alarm.setFor(atMs) });
  const alarm = createWheelAlarm(clock, turn);
  const ends = createPartitionEnds({ log, group, clock, onFault: (error) => onFault("ask for the ends", error) });
  const hopDeps = { plan, clock, topicOf, producer: hopProducer, due, onFault, turn };

  /** Does all that is due now, and sets the alarm for what comes next. */
  function turn(): void {
    if (closing.signal.aborted) return;
    let nextAtMs = Infinity;
    for (const partition of partitions.values()) {
      hopAll(hopDeps, partition);
      nextAtMs = Math.min(nextAtMs, partition.nextHopAtMs() ?? Infinity, partition.regulate(clock.now()) ?? Infinity);
    }
    if (nextAtMs !== Infinity) alarm.setFor(nextAtMs);
    due.serve();
  }

  async function countUnsettled(): Promise<number> {
    const depths = await Promise.all(topics.map((topic) => log.depth(group, topic)));
    return depths.flat().reduce((sum, { topic, partition, start, committed, end }) => {
      const ours = partitions.get(placeOf({ topic, partition }));
      return sum + (ours === undefined ? end - Math.max(start, committed) : ours.unsettledCount(end));
    }, 0);
  }

  return {
    plan,
    topics,
    signal: closing.signal,
    due,
    ends,
    partitions,
    producer: log.openProducer("retry"),
    admission: createWheelAdmission({ itemsMax: bounds.itemsMax, clock, measure: countUnsettled, onFault }),
    turn,
    countUnsettled,
    /** Hands out and moves nothing more; commits what is settled. */
    async stop() {
      closing.abort(new PosthasteError("stopping", "The retry queue is closing."));
      alarm.stop();
      ends.stop();
      due.waiters.close();
      await hopProducer[Symbol.asyncDispose]();
      await Promise.all([...partitions.values()].map(({ commits }) => commits.flush()));
    },
  };
}

function createReading(options: TimingWheelOptions, parts: Parts) {
  const { log, group } = options;
  const listener = createWheelListener({ ...options, ...parts, window: options.bounds.window });
  let joining: Promise<LogReader> | null = null;
  let reader: LogReader | null = null;
  return {
    async startReading(): Promise<void> {
      if (reader !== null) return;
      joining ??= log.openReader(group, parts.topics, listener).finally(() => (joining = null));
      reader = await joining;
    },
    health: (): string | null => (reader === null ? "The retry queue is not read yet." : reader.health()),
    async leave(): Promise<void> {
      await (reader ?? (await joining?.catch(() => null)))?.[Symbol.asyncDispose]();
    },
  };
}

function settleAll(items: readonly RetryItem[]): { settledCount: number; readonly partitions: Set<WheelPartition> } {
  const homes = new Set<WheelPartition>();
  let settledCount = 0;
  for (const item of items) {
    const { home, offset } = entryOfItem(item);
    // Another reader has what was lost, or will have it: it comes again there.
    if (home.isLost) continue;
    homes.add(home);
    if (home.settle(offset)) settledCount++;
  }
  return { settledCount, partitions: homes };
}

function earliest(partitions: Iterable<WheelPartition>): number | null {
  let earliestAtMs = Infinity;
  for (const partition of partitions) {
    for (const entry of partition.entries()) earliestAtMs = Math.min(earliestAtMs, entry?.notBeforeMs ?? Infinity);
  }
  return earliestAtMs === Infinity ? null : earliestAtMs;
}
