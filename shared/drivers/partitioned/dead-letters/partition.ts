/**
 * One partition of the dead-letter record on its way into the index: what was read and not yet taken, a batch at a time.
 * It commits what the index has taken; what fails is done again, with a growing wait.
 */
import type { Clock } from "../../../lib/ambient.ts";
import { isAborted } from "../../../lib/lifecycle.ts";
import type { AssignedPartition, LogRecord } from "../../../ports/partition-log.ts";

/** What waits for the index; from either on the partition is paused, and goes on at half of it. */
export const PROJECTED_WAITING_MAX = 2000;
export const PROJECTED_BYTES_MAX = 8 * 1024 * 1024;
/** Records between two commits. */
const BATCH_MAX = 100;
const AGAIN_MS = 500;
const AGAIN_MS_MAX = 30_000;

export interface LetterPartition {
  /** Offsets that were given before are skipped. */
  give(records: readonly LogRecord[]): void;
  /** It is another reader's: nothing more is committed. */
  lose(): void;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
}

export interface LetterPartitionDeps {
  readonly assigned: AssignedPartition;
  readonly clock: Clock;
  /** Takes records into the index; called again, as a repeat, with the same ones or more after it failed. */
  readonly apply: (batch: readonly LogRecord[], isRepeat: boolean) => Promise<void>;
  /** Must not throw. */
  readonly onFault: (error: unknown) => void;
  /** Aborted: nothing new is begun. */
  readonly signal: AbortSignal;
}

export function createLetterPartition(deps: LetterPartitionDeps): LetterPartition {
  const { assigned, clock, onFault, signal } = deps;
  const waiting: LogRecord[] = [];
  let bytes = 0;
  let next = assigned.from;
  /** The first offset that the index has not taken; null when that is committed. */
  let uncommitted: number | null = null;
  let isPaused = false;
  let isLost = false;
  let running: Promise<void> | null = null;
  const isOver = (): boolean => isLost || isAborted(signal);

  function steer(): void {
    if (!isPaused && (waiting.length >= PROJECTED_WAITING_MAX || bytes >= PROJECTED_BYTES_MAX)) {
      isPaused = true;
      assigned.pause();
    } else if (isPaused && waiting.length < PROJECTED_WAITING_MAX / 2 && bytes < PROJECTED_BYTES_MAX / 2) {
      isPaused = false;
      assigned.resume();
    }
  }

  async function step(isRepeat: boolean): Promise<void> {
    const batch = waiting.slice(0, BATCH_MAX);
    const last = batch.at(-1);
    if (last !== undefined) {
      await deps.apply(batch, isRepeat);
      if (isOver()) return;
      waiting.splice(0, batch.length);
      bytes -= bytesOf(batch);
      uncommitted = last.offset + 1;
      steer();
    }
    if (uncommitted === null) return;
    await assigned.commit(uncommitted);
    uncommitted = null;
  }

  async function work(): Promise<void> {
    let waitMs = AGAIN_MS;
    while (!isOver() && (waiting.length > 0 || uncommitted !== null)) {
      try {
        await step(waitMs > AGAIN_MS);
        waitMs = AGAIN_MS;
      } catch (error) {
        onFault(error);
        await clock.sleep(waitMs, signal).catch(() => undefined);
        waitMs = Math.min(2 * waitMs, AGAIN_MS_MAX);
      }
    }
    running = null;
  }

  return {
    give(records) {
      const fresh = records.filter(({ offset }) => offset >= next);
      const last = fresh.at(-1);
      if (last === undefined || isOver()) return;
      next = last.offset + 1;
      for (const record of fresh) waiting.push(record);
      bytes += bytesOf(fresh);
      steer();
      running ??= work();
    },
    lose: () => void (isLost = true),
    idle: () => running ?? Promise.resolve(),
  };
}

function bytesOf(records: readonly LogRecord[]): number {
  return records.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
}
