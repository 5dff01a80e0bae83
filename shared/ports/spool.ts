/**
 * Where records wait that the partition log cannot take at the moment: durable, bounded in bytes, and never trimmed. What
 * is appended is taken by relays, written to the log, and removed only then: at least once.
 */
import type { NewRecord } from "./partition-log.ts";

/** The part of the bound up to which records of a kind are taken: those that matter least are refused first. */
export const SPOOL_SHARES = { attempts: 0.25, low: 0.5, medium: 0.75, first: 1 } as const;
export type SpoolClass = keyof typeof SPOOL_SHARES;

export interface SpooledRecord {
  /** Null: what is kept is no record of ours. */
  readonly record: NewRecord | null;
  /** As it is kept. */
  readonly packed: Uint8Array;
  /** How long it has waited, by the clock of the store that keeps it. */
  readonly waitedMs: number;
  /** The driver's own handle; opaque. */
  readonly handle: unknown;
}

export interface SpoolDepth {
  readonly count: number;
  readonly bytes: number;
  /** Age of the oldest record in ms; null when there is none. */
  readonly oldestMs: number | null;
}

export interface Spool {
  /**
   * Resolves when all records are kept. Rejects with `overloaded` when they would pass the share of their class, with
   * `store-unavailable` when the store does not answer; then some of them may be kept all the same.
   */
  append(records: readonly NewRecord[], spoolClass: SpoolClass): Promise<void>;
  /** What is there now, oldest first, `max` records at most: new ones, and those that a taker has kept for too long. */
  take(max: number): Promise<readonly SpooledRecord[]>;
  /** They lie in the log. */
  remove(records: readonly SpooledRecord[]): Promise<void>;
  /** For any taker, at once. */
  giveBack(records: readonly SpooledRecord[]): Promise<void>;
  depth(): Promise<SpoolDepth>;
  /** Calls `listener` when something was appended, or may have been. */
  watch(listener: () => void): Promise<AsyncDisposable>;
}
