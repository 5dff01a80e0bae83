/**
 * Commits of one partition: one in flight, and at most one every `COMMIT_EVERY_MS`; what acks meanwhile shares the
 * next. Never commits past the head that the window gives at that moment, and nothing at all after `drop`.
 */
import { PosthasteError, storeFault } from "../../../domain/errors.ts";
import type { Cancel, Clock } from "../../../lib/ambient.ts";
import type { AssignedPartition } from "../../../ports/partition-log.ts";

export const COMMIT_EVERY_MS = 100;
/** After a commit that failed. */
export const COMMIT_AGAIN_MS = 1000;

export interface LaneCommits {
  /** The head moved: it is committed at once or together with others, soon. */
  request(): void;
  /**
   * Resolves when the head as it is now is committed, or the partition is lost; rejects with `store-unavailable` when
   * the next commit failed, which is repeated all the same.
   */
  committed(): Promise<void>;
  /** Commits the head now, after what is in flight; resolves also when that failed, as then records come again. */
  flush(): Promise<void>;
  /** The partition is not ours any more. */
  drop(): void;
}

interface Waiter {
  readonly head: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export function createLaneCommits(options: {
  readonly clock: Clock;
  readonly partition: AssignedPartition;
  readonly head: () => number;
}): LaneCommits {
  const { clock, partition, head } = options;
  let done = partition.from;
  let startedAtMs = -Infinity;
  let underWay: Promise<boolean> | null = null;
  let cancel: Cancel | null = null;
  let isDropped = false;
  let waiters: Waiter[] = [];

  function arm(waitMs: number): void {
    if (isDropped || underWay !== null || cancel !== null || head() <= done) return;
    if (waitMs <= 0) return void run();
    cancel = clock.timer(waitMs, () => {
      cancel = null;
      void run();
    });
  }

  function run(): Promise<boolean> {
    const target = head();
    startedAtMs = clock.monotonic();
    underWay = commit(partition, target).then((error) => {
      underWay = null;
      if (error === null) done = Math.max(done, target);
      waiters = tell(waiters, error === null ? done : target, error);
      arm(error === null ? pauseMs() : COMMIT_AGAIN_MS);
      return error === null;
    });
    return underWay;
  }

  const pauseMs = (): number => startedAtMs + COMMIT_EVERY_MS - clock.monotonic();

  return {
    request: () => arm(pauseMs()),
    committed() {
      if (isDropped || head() <= done) return Promise.resolve();
      return new Promise((resolve, reject) => {
        waiters.push({ head: head(), resolve, reject });
        arm(pauseMs());
      });
    },
    async flush() {
      await underWay;
      cancel?.();
      cancel = null;
      if (!isDropped && head() > done) await (underWay ?? run());
    },
    drop() {
      isDropped = true;
      cancel?.();
      cancel = null;
      waiters = tell(waiters, Infinity, null);
    },
  };
}

/** Null, or why it failed. */
async function commit(partition: AssignedPartition, next: number): Promise<Error | null> {
  try {
    await partition.commit(next);
    return null;
  } catch (error) {
    const where = `partition ${partition.partition} of ${partition.topic}`;
    return error instanceof PosthasteError
      ? error
      : storeFault(`The partition log did not take a commit for ${where}.`, { cause: error });
  }
}

/** Ends the waits up to `head`; those that remain. */
function tell(waiters: readonly Waiter[], head: number, error: Error | null): Waiter[] {
  return waiters.filter((waiter) => {
    if (waiter.head > head) return true;
    if (error === null) waiter.resolve();
    else waiter.reject(error);
    return false;
  });
}
