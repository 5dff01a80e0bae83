/**
 * One partition on its way into a store that shows it: what was read and not yet taken, a batch at a time. It commits what
 * the store has taken; what fails is done again, with a growing wait.
 */
import type { Clock, Entropy } from "../../lib/ambient.ts";
import { isAborted } from "../../lib/lifecycle.ts";
import { onAbort } from "../../lib/on-abort.ts";
import { retry } from "../../lib/retry.ts";
import type { AssignedPartition, ConsumerRecord } from "../../ports/partition-log.ts";

/** What waits for the store; from either on the partition is paused, and goes on at half of it. */
export const PROJECTED_WAITING_MAX = 2000;
export const PROJECTED_BYTES_MAX = 8 * 1024 * 1024;
/** Records between two commits. */
const BATCH_MAX = 100;
const FIRST_WAIT_MS = 500;

export interface ProjectedPartition {
  /** Offsets that were given before are skipped. */
  give(records: readonly ConsumerRecord[]): void;
  /** It is another reader's: nothing more is committed. */
  lose(): void;
  /** When the oldest record that waits was written; null when none waits. */
  oldestAtMs(): number | null;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
}

export interface ProjectedPartitionDeps {
  readonly assigned: AssignedPartition;
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** Takes records into the store; called again, as a repeat, with the same ones or more after it failed. */
  readonly apply: (batch: readonly ConsumerRecord[], isRepeat: boolean) => Promise<void>;
  /** Between tries, at most. */
  readonly waitMsMax: number;
  /** Must not throw. */
  readonly onFault: (error: unknown) => void;
  /** Aborted: nothing new is begun. */
  readonly signal: AbortSignal;
}

export function createProjectedPartition(deps: ProjectedPartitionDeps): ProjectedPartition {
  const { assigned, clock, entropy } = deps;
  const waiting: ConsumerRecord[] = [];
  let bytes = 0;
  let next = assigned.from;
  /** The first offset that the store has not taken; null when that is committed. */
  let uncommitted: number | null = null;
  let isPaused = false;
  let running: Promise<void> | null = null;
  const over = new AbortController();
  const { signal } = over;
  const stopListening = onAbort(deps.signal, () => over.abort());
  const waits = { firstMs: FIRST_WAIT_MS, maxMs: deps.waitMsMax };
  const backoff = { clock, entropy, signal, ...waits, onFailure: deps.onFault };

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
      if (isAborted(signal)) return;
      waiting.splice(0, batch.length);
      bytes -= bytesOf(batch);
      uncommitted = last.offset + 1;
      steer();
    }
    if (uncommitted === null) return;
    await assigned.commit(uncommitted);
    uncommitted = null;
  }

  const isIdle = (): boolean => waiting.length === 0 && uncommitted === null;

  async function work(): Promise<void> {
    while (!isAborted(signal) && !isIdle()) await retry((attemptIndex) => step(attemptIndex > 0), backoff);
    running = null;
  }

  return {
    give(records) {
      const fresh = records.filter(({ offset }) => offset >= next);
      const last = fresh.at(-1);
      if (last === undefined || isAborted(signal)) return;
      next = last.offset + 1;
      for (const record of fresh) waiting.push(record);
      bytes += bytesOf(fresh);
      steer();
      running ??= work();
    },
    lose() {
      stopListening();
      over.abort();
    },
    oldestAtMs: () => waiting[0]?.timestampMs ?? null,
    idle: () => running ?? Promise.resolve(),
  };
}

function bytesOf(records: readonly ConsumerRecord[]): number {
  return records.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
}
