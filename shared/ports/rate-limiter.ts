/**
 * The sliding-window log: in no window of `windowMs`, wherever it begins, are more than `limit` units granted. A unit is free
 * again when its window is over, to the millisecond for windows of up to two seconds, and at most a thousandth of a longer one
 * later: so no subject takes more than two thousand entries, whatever its limit. A refused call is not logged, so a caller who goes on knocking is not locked out longer. The clock is the store's.
 *
 * A limiter that lies in a store and cannot ask it goes by `failureMode`, after a short wait.
 */
import type { RateLimit } from "../domain/endpoint.ts";
import type { FailureMode, LimitPolicy } from "../domain/key-rate-limit.ts";

/**
 * `failureMode`: what stands in for a limiter that cannot be asked; `local` when it is left out. `policy`: at the edge alone, one
 * that is less than exact.
 */
export type LimitRule = RateLimit & { readonly failureMode?: FailureMode; readonly policy?: LimitPolicy };

export interface LimitState {
  /** Units that would still be granted now. */
  readonly remaining: number;
  /** Ms until the window has room for `cost` units (refused), or until it is empty again (else); at least 0. */
  readonly resetMs: number;
}

export interface LimitVerdict extends LimitState {
  readonly isGranted: boolean;
  /** The store's time of the call, for `giveBack`. */
  readonly atMs: number;
  /** The limiter that all share could not be asked: this process decided by itself. */
  readonly isLocal?: true;
}

export interface RateLimiter {
  /** Takes `cost` units (default 1) of `subject`, all or none; `cost` over the limit is never granted. */
  take(subject: string, rate: LimitRule, cost: number): Promise<LimitVerdict>;
  /**
   * Takes a grant back, as if it had not been made: `cost` units that `take` granted at `atMs`, once. What has left the
   * window by then gives nothing back.
   */
  giveBack(subject: string, rate: LimitRule, grant: Grant): Promise<LimitState>;
}

export interface Grant {
  readonly cost: number;
  readonly atMs: number;
  /** As in the verdict. */
  readonly isLocal?: true;
}

/** Subjects remembered by one limiter; past it the one idle longest is forgotten, and starts afresh. */
export const LIMIT_SUBJECTS_MAX = 10_000;
/** Parts of a window; it takes at most twice so many entries. */
export const GRAINS = 1024;

/** Grants of so many ms share an entry. */
export function grainMs(windowMs: number): number {
  return Math.max(1, Math.floor(windowMs / GRAINS));
}
