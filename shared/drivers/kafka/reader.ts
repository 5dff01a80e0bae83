/**
 * A reader of a group: keeps a consumer joined. A consumer that ended, did not join or stopped reading although there is
 * something to read is replaced by a new one, after its partitions were declared lost; between two tries a doubling wait.
 * So is one of a process that stood still: the group may have given its partitions away.
 */
import type { Cancel } from "../../lib/ambient.ts";
import { backoffMs } from "../../lib/retry.ts";
import type { GroupListener, TopicPartition, GroupReader, ReaderPace } from "../../ports/partition-log.ts";
import type { Assignment } from "./assignment.ts";
import { createAssignment } from "./assignment.ts";
import type { KafkaContext } from "./client.ts";
import { describeError, isStillStarting, storeUnavailable, within } from "./client.ts";
import type { Commits } from "./commits.ts";
import { createCommits } from "./commits.ts";
import type { GroupConsumer } from "./consumer.ts";
import { startConsumer } from "./consumer.ts";
import type { HeldPartition } from "./held-partition.ts";
import type { PartitionOffsets } from "./offsets.ts";
import type { ReaderWatch } from "./reader-watch.ts";
import { createReaderWatch } from "./reader-watch.ts";

/** The first join; a member that crashed is waited for by the group for its session time. */
const JOIN_MS = 30_000;
/** Longer than a rebalance may take. */
const REJOIN_MS = 25_000;
/** Something to read, and nothing read for this long: the consumer is replaced. */
const STALL_MS = 20_000;
/** No fetch was answered for this long: the connection is dead, though nothing has closed it. */
const SILENT_MS = 10_000;
/** Between the end of a consumer and its successor. */
const RESTARTS = { firstMs: 500, maxMs: 10_000 } as const;
/** Commits under way at the end; what was not committed is read again by whoever takes over. */
const LAST_COMMITS_MS = 2000;

export interface KafkaReaderOptions {
  readonly context: KafkaContext;
  readonly group: string;
  readonly topics: readonly string[];
  readonly pace: ReaderPace;
  readonly listener: GroupListener;
  /** Start, committed and end of each partition of a topic; names as callers know them. */
  readonly offsets: (topic: string) => Promise<readonly PartitionOffsets[]>;
}

export interface KafkaReader extends GroupReader {
  /** The topic was deleted: if it is one of the reader's, all that it knows of offsets is of the past. */
  gone(topic: string): void;
}

/** Resolves when the group was joined; rejects with `store-unavailable` after `JOIN_MS`. */
export async function openKafkaReader(options: KafkaReaderOptions): Promise<KafkaReader> {
  const reader = new JoinedReader(options);
  await reader.open();
  return {
    health: () => reader.health(),
    gone: (topic) => reader.gone(topic),
    [Symbol.asyncDispose]: () => reader.close(),
  };
}

class JoinedReader {
  readonly #options: KafkaReaderOptions;
  readonly #assignment: Assignment;
  readonly #commits: Commits;
  /** The first join ended and all of its partitions were announced. */
  readonly #joined = Promise.withResolvers<void>();
  /** Null between the end of one and the start of the next. */
  #consumer: GroupConsumer | null = null;
  /** The assignment is in doubt. */
  #isJoining = true;
  #isClosed = false;
  /** When joining began or ended, on the monotonic clock. */
  #changedAtMs: number;
  /** When the broker last answered a fetch, on the monotonic clock. */
  #fetchedAtMs: number;
  /** By what name the group knows the consumer since its last join; null before the first. */
  #memberId: string | null = null;
  /** Consumers that ended since one had its partitions. */
  #restarts = 0;
  #lastFault: unknown = null;
  #cancelRestart: Cancel = () => undefined;
  readonly #watch: ReaderWatch;

  constructor(options: KafkaReaderOptions) {
    const { clock, prefix } = options.context;
    this.#options = options;
    this.#commits = createCommits({
      clock,
      prefix,
      isHeld: (partition) => this.#assignment.isHeld(partition),
      consumer: () => (this.#isJoining ? null : this.#consumer),
      refused: (consumer, refusal, isExpelled) => this.#refused(consumer, refusal, isExpelled),
    });
    this.#assignment = createAssignment({
      clock,
      prefix,
      listener: options.listener,
      offsets: options.offsets,
      commit: this.#commits.commit,
      pause: (position, isPaused) => this.#consumer?.pause(position, isPaused),
    });
    this.#changedAtMs = clock.monotonic();
    this.#fetchedAtMs = clock.monotonic();
    this.#watch = createReaderWatch({
      clock,
      look: () => this.#look(),
      stoodStill: (ms) => this.#replace(new Error(`the process stood still for ${Math.round(ms)} ms`)),
    });
  }

  async open(): Promise<void> {
    const { context, group } = this.#options;
    this.#start();
    this.#watch.start();
    try {
      await within(context.clock, JOIN_MS, this.#joined.promise, () => new Error(`no join within ${JOIN_MS} ms`));
    } catch (cause) {
      await this.close();
      throw storeUnavailable(`group ${group} was not joined`, this.#lastFault ?? cause);
    }
  }

  health(): string | null {
    const { group } = this.#options;
    if (this.#isClosed) return `the reader of group ${group} is closed`;
    if (this.#lastFault !== null) return `the reader of group ${group} starts again: ${describeError(this.#lastFault)}`;
    return this.#isJoining ? `the reader of group ${group} is joining` : null;
  }

  gone(topic: string): void {
    if (this.#options.topics.includes(topic)) this.#replace(new Error(`topic ${topic} was deleted`));
  }

  /** Commits under way still count; then the partitions are given up, then the group is left. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    const { clock, onFault } = this.#options.context;
    const late = (): Error => new Error(`the last commits took more than ${LAST_COMMITS_MS} ms`);
    await within(clock, LAST_COMMITS_MS, this.#commits.idle(), late).catch(onFault);
    this.#isClosed = true;
    this.#watch.stop();
    this.#cancelRestart();
    this.#assignment.loseAll();
    this.#commits.assignmentKnown();
    const last = this.#consumer;
    this.#consumer = null;
    await last?.stop();
  }

  #start(): void {
    const { context, group, topics, pace } = this.#options;
    const { clock, prefix } = context;
    const names = topics.map((topic) => prefix + topic);
    const joining = (): void => {
      this.#isJoining = true;
      this.#changedAtMs = clock.monotonic();
    };
    joining();
    this.#consumer = startConsumer(
      context,
      { groupId: prefix + group, topics: names, pace },
      {
        joining,
        joined: (memberId, positions) => this.#joinEnded(memberId, positions),
        fetched: () => void (this.#fetchedAtMs = clock.monotonic()),
        batch: (payload) => !this.#watch.isOutdated() && this.#assignment.take(payload),
        ended: (error) => this.#replace(error),
      },
    );
  }

  /** The group does not take commits of this generation: nothing is certain before the next join. */
  #refused(consumer: GroupConsumer, refusal: Error, isExpelled: boolean): void {
    if (this.#consumer !== consumer || this.#isJoining) return;
    this.#isJoining = true;
    this.#changedAtMs = this.#options.context.clock.monotonic();
    if (isExpelled) this.#assignment.loseAll();
    consumer.rejoin(refusal);
  }

  #joinEnded(memberId: string, positions: readonly TopicPartition[]): void {
    // What was given to others in between is not ours any more, even where it came back.
    if (memberId !== this.#memberId) this.#assignment.loseAll();
    this.#memberId = memberId;
    const fresh = this.#assignment.reconcile(positions);
    this.#isJoining = false;
    this.#changedAtMs = this.#options.context.clock.monotonic();
    this.#fetchedAtMs = this.#changedAtMs;
    this.#lastFault = null;
    this.#commits.assignmentKnown();
    void this.#announce(fresh);
  }

  async #announce(fresh: readonly HeldPartition[]): Promise<void> {
    const consumer = this.#consumer;
    try {
      await this.#assignment.announce(fresh);
      this.#restarts = 0;
      this.#joined.resolve();
    } catch (error) {
      if (this.#consumer === consumer) this.#replace(error);
    }
  }

  #replace(error: unknown): void {
    const old = this.#consumer;
    if (this.#isClosed || old === null) return;
    const { context, group } = this.#options;
    this.#lastFault = error;
    const told = new Error(`group ${group}: the reader starts again: ${describeError(error)}`, { cause: error });
    if (!isStillStarting(error)) context.onFault(told);
    this.#consumer = null;
    this.#isJoining = true;
    this.#assignment.loseAll();
    this.#commits.assignmentKnown();
    void this.#restart(old);
  }

  async #restart(old: GroupConsumer): Promise<void> {
    await old.stop();
    if (this.#isClosed) return;
    const { clock, entropy } = this.#options.context;
    const waitMs = backoffMs(this.#restarts, RESTARTS, entropy);
    this.#restarts += 1;
    this.#cancelRestart = clock.timer(waitMs, () => this.#start());
  }

  #look(): void {
    const { clock, onFault } = this.#options.context;
    if (this.#consumer === null) return;
    if (this.#isJoining) {
      if (clock.monotonic() - this.#changedAtMs > REJOIN_MS) this.#replace(new Error(`no join within ${REJOIN_MS} ms`));
    } else if (clock.monotonic() - this.#fetchedAtMs > SILENT_MS) {
      this.#replace(new Error(`no fetch was answered for ${SILENT_MS} ms`));
    } else {
      void this.#replaceStalled().catch(onFault);
    }
  }

  async #replaceStalled(): Promise<void> {
    const consumer = this.#consumer;
    const { clock } = this.#options.context;
    const stalled = await this.#assignment.findStalled(clock.monotonic() - STALL_MS);
    if (stalled === null || this.#consumer !== consumer || this.#isJoining) return;
    const { topic, partition } = stalled;
    this.#replace(
      new Error(`nothing was read from ${topic}/${partition} for ${STALL_MS} ms although there is something`),
    );
  }
}
