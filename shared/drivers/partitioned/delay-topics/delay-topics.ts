/**
 * The retry queue on a partition log: delay topics, each with one constant delay. An item goes to the topic of the largest
 * delay that fits, is relayed when that is over, and waits in memory for the last moments, exact to the millisecond.
 *
 * An item is appended to the next topic before its old offset is acked: a crash in between leaves it twice, never not
 * at all. An acknowledged item that lies behind an unacked one comes again after a crash, as a repeat.
 * What was deferred and waits in memory is recalled at once; what still lies in a topic, when its relay comes.
 * Times are the partition log's (`log-time.ts`): a process whose clock is behind plans and hands out in time all the same, as
 * does one whose clock is set back. One whose clock is ahead ends its waits early. The log's brokers agree on the time.
 */
import { PosthasteError } from "../../../domain/errors.ts";
import { encodeHex } from "../../../domain/hex.ts";
import type { Clock, Entropy } from "../../../lib/ambient.ts";
import type { GroupReader, PartitionLog } from "../../../ports/partition-log.ts";
import type { RetryItem, RetryQueue, ScheduleResult } from "../../../ports/retry-queue.ts";
import { SCHEDULED } from "../../../ports/retry-queue.ts";
import type { OffsetWindowBounds } from "../window/offset-window.ts";
import { createPartitionEnds } from "../window/partition-ends.ts";
import type { OnPoison } from "../window/quarantine.ts";
import { retryRecord } from "./retry-record.ts";
import { createDelayAdmission } from "./admission.ts";
import { createDueItems } from "./due.ts";
import { relayDue } from "./relays.ts";
import { createDelayListener, placeOf } from "./listener.ts";
import { createLogTime } from "./log-time.ts";
import type { DelayPartition } from "./partition.ts";
import { entryOfItem } from "./partition.ts";
import { createDelayPlan } from "./plan.ts";

export interface DelayTopicsBounds {
  /** Items of all processes that are not acked. */
  readonly itemsMax: number;
  /** What one process holds of one partition. */
  readonly window: OffsetWindowBounds;
}

/**
 * Up to 10,000 items and 8 MiB for each partition of each topic. The last minute of a wait ends in memory, so that about
 * 300 items may fall due in a second for each partition of the smallest delay; beyond it they are read late.
 */
export const DELAY_TOPICS_BOUNDS: DelayTopicsBounds = {
  itemsMax: 20_000_000,
  window: { recordsMax: 10_000, bytesMax: 8 * 1024 * 1024, spanMax: 100_000, ageMsMax: 60_000 },
};

/** What it writes lies in a topic already, and stays there until it was written. */
export const RELAY_PRODUCER = "retry-relays";

const FULL: ScheduleResult = { kind: "full", retryAfterS: 10 };

export interface DelayTopicsOptions {
  readonly partitionLog: PartitionLog;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly delaysMs: readonly number[];
  /** One group for all processes; not that of the lanes. */
  readonly group: string;
  readonly topicOf: (delayMs: number) => string;
  readonly bounds: DelayTopicsBounds;
  readonly onPoison: OnPoison;
  /** Told of what failed and is repeated: relays, questions to the partition log. */
  readonly onFault: (what: string, error: unknown) => void;
}

export interface DelayTopics extends RetryQueue, AsyncDisposable {
  /** Joins the group; before it nothing is handed out. May be called again after it failed. Throws what the partition log throws. */
  startReading(): Promise<void>;
  /** Null while the partition log is read; else one sentence. */
  health(): string | null;
}

/** Of the name of a process in the records that it plans. */
const WRITER_BYTES = 8;

/** The topics must be there. Dispose it when nobody takes any more: commits what is acked, then leaves the group. */
export function createDelayTopics(options: DelayTopicsOptions): DelayTopics {
  const { clock, topicOf } = options;
  const parts = assemble(options);
  const { plan, due, partitions, producer, admission, advance, countUnacked } = parts;
  const reading = createReading(options, parts);

  return {
    async schedule(items) {
      if (items.length === 0) return SCHEDULED;
      const nowMs = clock.now();
      const records = items.map((item) => {
        const topic = topicOf(plan.delayFor(item.notBeforeMs - nowMs));
        return retryRecord({ item, relays: 0, topic, nowMs, time: "own", writer: parts.writer });
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
    take: due.take,
    async ack(items) {
      const homes = ackAll(items);
      admission.free(homes.ackedCount);
      advance();
      await Promise.all([...homes.partitions].map((home) => home.commits.committed()));
    },
    release(items) {
      for (const item of items) {
        const entry = entryOfItem(item);
        if (!entry.isOut || entry.home.isLost || entry.item === null) continue;
        entry.isOut = false;
        entry.isRepeat = true;
        due.add(entry);
      }
      advance();
      return Promise.resolve();
    },
    recall: (endpointId, max) => Promise.resolve(due.recall(endpointId, max)),
    async depth() {
      return { count: await countUnacked(), oldestAtMs: earliest(partitions.values()) };
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

function assemble({ partitionLog, clock, entropy, group, topicOf, bounds, onFault, delaysMs }: DelayTopicsOptions) {
  const plan = createDelayPlan(delaysMs);
  const topics = plan.delaysMs.map(topicOf);
  const closing = new AbortController();
  const partitions = new Map<string, DelayPartition>();
  const relayProducer = partitionLog.openProducer(RELAY_PRODUCER);
  const writer = encodeHex(entropy.bytes(WRITER_BYTES));
  const logTime = createLogTime(clock, writer);
  /** By the log's time of day. */
  const logClock: Clock = { ...clock, now: logTime.now };
  const due = createDueItems(logClock, advance);
  const ends = createPartitionEnds({
    partitionLog,
    group,
    clock,
    onFault: (error) => onFault("ask for the ends", error),
  });
  const relayDeps = { plan, clock: logClock, topicOf, producer: relayProducer, due, onFault, advance };

  /** Does all that is due now, and sees to a ring when the next comes. */
  function advance(): void {
    if (closing.signal.aborted) return;
    let nextAtMs = Infinity;
    for (const partition of partitions.values()) {
      relayDue(relayDeps, partition);
      nextAtMs = Math.min(
        nextAtMs,
        partition.nextRelayAtMs() ?? Infinity,
        partition.regulate(logClock.now()) ?? Infinity,
      );
    }
    if (nextAtMs !== Infinity) due.ringAt(nextAtMs);
    due.serve();
  }

  async function countUnacked(): Promise<number> {
    const depths = await Promise.all(topics.map((topic) => partitionLog.depth(group, topic)));
    return depths.flat().reduce((sum, { topic, partition, start, committed, end }) => {
      const ours = partitions.get(placeOf({ topic, partition }));
      return sum + (ours === undefined ? end - Math.max(start, committed) : ours.unackedCount(end));
    }, 0);
  }

  return {
    plan,
    topics,
    signal: closing.signal,
    due,
    logTime,
    writer,
    logClock,
    ends,
    partitions,
    producer: partitionLog.openProducer("retry"),
    admission: createDelayAdmission({ itemsMax: bounds.itemsMax, clock, measure: countUnacked, onFault }),
    advance,
    countUnacked,
    /** Hands out and moves nothing more; commits what is acked. */
    async stop() {
      closing.abort(new PosthasteError("stopping", "The retry queue is closing."));
      ends.stop();
      due.stop();
      await relayProducer[Symbol.asyncDispose]();
      await Promise.all([...partitions.values()].map(({ commits }) => commits.flush()));
    },
  };
}

function createReading(options: DelayTopicsOptions, parts: Parts) {
  const { partitionLog, group } = options;
  const listener = createDelayListener({ ...options, ...parts, clock: parts.logClock, window: options.bounds.window });
  let joining: Promise<GroupReader> | null = null;
  let reader: GroupReader | null = null;
  return {
    async startReading(): Promise<void> {
      if (reader !== null) return;
      // What is written has to wait at any rate.
      joining ??= partitionLog.openReader(group, parts.topics, listener, "in-bulk").finally(() => (joining = null));
      reader = await joining;
    },
    health: (): string | null => (reader === null ? "The retry queue is not read yet." : reader.health()),
    async leave(): Promise<void> {
      await (reader ?? (await joining?.catch(() => null)))?.[Symbol.asyncDispose]();
    },
  };
}

function ackAll(items: readonly RetryItem[]): { ackedCount: number; readonly partitions: Set<DelayPartition> } {
  const homes = new Set<DelayPartition>();
  let ackedCount = 0;
  for (const item of items) {
    const { home, offset } = entryOfItem(item);
    // Another reader has what was lost, or will have it: it comes again there.
    if (home.isLost) continue;
    homes.add(home);
    if (home.ack(offset)) ackedCount++;
  }
  return { ackedCount, partitions: homes };
}

function earliest(partitions: Iterable<DelayPartition>): number | null {
  let earliestAtMs = Infinity;
  for (const partition of partitions) {
    for (const entry of partition.entries()) earliestAtMs = Math.min(earliestAtMs, entry?.notBeforeMs ?? Infinity);
  }
  return earliestAtMs === Infinity ? null : earliestAtMs;
}
