/**
 * A reader of a group: keeps a consumer joined. A consumer that ended, did not join or stopped reading although there is
 * something to read is replaced by a new one, after its partitions were declared lost; between two tries a doubling wait.
 */
import type { Cancel } from "../../lib/ambient.ts";
import type { LogListener, LogPosition, LogReader } from "../../ports/partition-log.ts";
import type { Assignment } from "./assignment.ts";
import { createAssignment } from "./assignment.ts";
import type { KafkaContext } from "./client.ts";
import { describeError, storeUnavailable, within } from "./client.ts";
import type { Commits } from "./commits.ts";
import { createCommits } from "./commits.ts";
import type { GroupConsumer } from "./consumer.ts";
import { startConsumer } from "./consumer.ts";
import type { PartitionOffsets } from "./offsets.ts";

/** The first join; a member that crashed is waited for by the group for its session time. */
const JOIN_MS = 30_000;
/** Longer than a rebalance may take. */
const REJOIN_MS = 25_000;
/** Something to read, and nothing read for this long: the consumer is replaced. */
const STALL_MS = 20_000;
/** No fetch was answered for this long: the connection is dead, though nothing has closed it. */
const SILENT_MS = 10_000;
const WATCH_MS = 5000;
const RESTART_MS = 500;
const RESTART_MS_MAX = 10_000;
/** Commits under way at the end; what was not committed is read again by whoever takes over. */
const LAST_COMMITS_MS = 2000;

export interface KafkaReaderOptions {
  readonly context: KafkaContext;
  readonly group: string;
  readonly topics: readonly string[];
  readonly listener: LogListener;
  /** Start, committed and end of each partition of a topic; names as callers know them. */
  readonly offsets: (topic: string) => Promise<readonly PartitionOffsets[]>;
}

interface Reader {
  readonly options: KafkaReaderOptions;
  readonly assignment: Assignment;
  readonly commits: Commits;
  /** The first join ended and all of its partitions were announced. */
  readonly first: PromiseWithResolvers<void>;
  /** Null between the end of one and the start of the next. */
  consumer: GroupConsumer | null;
  /** The assignment is in doubt. */
  isJoining: boolean;
  isClosed: boolean;
  /** When joining began or ended, on the monotonic clock. */
  changedAtMs: number;
  /** When the broker last answered a fetch, on the monotonic clock. */
  fetchedAtMs: number;
  restartMs: number;
  lastFault: unknown;
  cancelRestart: Cancel;
  cancelWatch: Cancel;
}

/** Resolves when the group was joined; rejects with `store-unavailable` after `JOIN_MS`. */
export async function openKafkaReader(options: KafkaReaderOptions): Promise<LogReader> {
  const { clock } = options.context;
  const reader = createReader(options);
  start(reader);
  reader.cancelWatch = clock.timer(WATCH_MS, () => watch(reader));
  try {
    await within(clock, JOIN_MS, reader.first.promise, () => new Error(`no join within ${JOIN_MS} ms`));
  } catch (cause) {
    await close(reader);
    throw storeUnavailable(`group ${options.group} was not joined`, reader.lastFault ?? cause);
  }
  return { health: () => health(reader), [Symbol.asyncDispose]: () => close(reader) };
}

function createReader(options: KafkaReaderOptions): Reader {
  const { clock, prefix } = options.context;
  const commits = createCommits({
    clock,
    prefix,
    isHeld: (partition) => reader.assignment.isHeld(partition),
    consumer: () => (reader.isJoining ? null : reader.consumer),
  });
  const assignment = createAssignment({
    clock,
    prefix,
    listener: options.listener,
    offsets: options.offsets,
    commit: commits.commit,
    pause: (position, isPaused) => reader.consumer?.pause(position, isPaused),
  });
  const reader: Reader = {
    options,
    assignment,
    commits,
    first: Promise.withResolvers(),
    consumer: null,
    isJoining: true,
    isClosed: false,
    changedAtMs: clock.monotonic(),
    fetchedAtMs: clock.monotonic(),
    restartMs: RESTART_MS,
    lastFault: null,
    cancelRestart: () => undefined,
    cancelWatch: () => undefined,
  };
  return reader;
}

function start(reader: Reader): void {
  const { context, group, topics } = reader.options;
  const { clock, prefix } = context;
  reader.isJoining = true;
  reader.changedAtMs = clock.monotonic();
  const names = topics.map((topic) => prefix + topic);
  reader.consumer = startConsumer(context, prefix + group, names, {
    joining() {
      reader.isJoining = true;
      reader.changedAtMs = clock.monotonic();
    },
    joined: (assignment) => settle(reader, assignment),
    fetched() {
      reader.fetchedAtMs = clock.monotonic();
    },
    batch: (payload) => reader.assignment.take(payload),
    ended: (error) => replace(reader, error),
  });
}

function settle(reader: Reader, positions: readonly LogPosition[]): void {
  const { consumer, assignment } = reader;
  const fresh = assignment.settle(positions);
  reader.isJoining = false;
  reader.changedAtMs = reader.options.context.clock.monotonic();
  reader.fetchedAtMs = reader.changedAtMs;
  reader.lastFault = null;
  reader.commits.assignmentSettled();
  assignment.announce(fresh).then(
    () => {
      reader.restartMs = RESTART_MS;
      return reader.first.resolve();
    },
    (error: unknown) => {
      if (reader.consumer === consumer) replace(reader, error);
    },
  );
}

function replace(reader: Reader, error: unknown): void {
  const { consumer, options } = reader;
  if (reader.isClosed || consumer === null) return;
  reader.lastFault = error;
  const why = `group ${options.group}: the reader starts again: ${describeError(error)}`;
  options.context.onFault(new Error(why, { cause: error }));
  reader.consumer = null;
  reader.isJoining = true;
  reader.assignment.loseAll();
  reader.commits.assignmentSettled();
  void restart(reader, consumer);
}

async function restart(reader: Reader, old: GroupConsumer): Promise<void> {
  await old.stop();
  if (reader.isClosed) return;
  reader.cancelRestart = reader.options.context.clock.timer(reader.restartMs, () => start(reader));
  reader.restartMs = Math.min(reader.restartMs * 2, RESTART_MS_MAX);
}

function watch(reader: Reader): void {
  const { clock, onFault } = reader.options.context;
  reader.cancelWatch = clock.timer(WATCH_MS, () => watch(reader));
  if (reader.consumer === null) return;
  if (reader.isJoining) {
    if (clock.monotonic() - reader.changedAtMs > REJOIN_MS)
      replace(reader, new Error(`no join within ${REJOIN_MS} ms`));
  } else if (clock.monotonic() - reader.fetchedAtMs > SILENT_MS) {
    replace(reader, new Error(`no fetch was answered for ${SILENT_MS} ms`));
  } else {
    void replaceStalled(reader).catch(onFault);
  }
}

async function replaceStalled(reader: Reader): Promise<void> {
  const { consumer, assignment, options } = reader;
  const stalled = await assignment.findStalled(options.context.clock.monotonic() - STALL_MS);
  if (stalled === null || reader.consumer !== consumer || reader.isJoining) return;
  const { topic, partition } = stalled;
  replace(
    reader,
    new Error(`nothing was read from ${topic}/${partition} for ${STALL_MS} ms although there is something`),
  );
}

/** Commits under way still count; then the partitions are given up, then the group is left. */
async function close(reader: Reader): Promise<void> {
  if (reader.isClosed) return;
  const { clock, onFault } = reader.options.context;
  const late = (): Error => new Error(`the last commits took more than ${LAST_COMMITS_MS} ms`);
  await within(clock, LAST_COMMITS_MS, reader.commits.idle(), late).catch(onFault);
  reader.isClosed = true;
  reader.cancelWatch();
  reader.cancelRestart();
  reader.assignment.loseAll();
  reader.commits.assignmentSettled();
  const last = reader.consumer;
  reader.consumer = null;
  await last?.stop();
}

function health({ options, isClosed, isJoining, lastFault }: Reader): string | null {
  if (isClosed) return `the reader of group ${options.group} is closed`;
  if (lastFault !== null) return `the reader of group ${options.group} starts again: ${describeError(lastFault)}`;
  return isJoining ? `the reader of group ${options.group} is joining` : null;
}
