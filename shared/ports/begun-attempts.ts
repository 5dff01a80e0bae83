/**
 * Which attempts were begun and never ended: what a process had under way when it died. Asked for repeats alone, before
 * the attempt is made, so that it costs what is handed out for the first time nothing.
 *
 * Bounded: past `BEGUN_MAX`, or `BEGUN_KEPT_MS` after its last beginning, an attempt's beginnings are forgotten, the
 * oldest first; its count then starts anew.
 */
import type { DeliveryKey } from "../domain/delivery.ts";

export interface AttemptKey extends DeliveryKey {
  /** From 1. */
  readonly attempt: number;
}

/** Attempts that are kept, in all or for each shard: about 2 MB of them. */
export const BEGUN_MAX = 10_000;
export const BEGUN_KEPT_MS = 24 * 3600 * 1000;

/** Calls about one attempt are awaited one after the other; those that are not have no order. */
export interface BegunAttempts {
  /** How many beginnings of the attempt never ended, 0 when it is not known. Rejects with `store-unavailable`. */
  unended(attempt: AttemptKey): Promise<number>;
  /**
   * Notes one more beginning of each, at most `BEGIN_MAX` of one tenant; it survives SIGKILL of our process once this
   * resolved. Rejects with `store-unavailable`.
   */
  begin(attempts: readonly AttemptKey[]): Promise<void>;
  /** The attempts ended, whatever came of them: all their beginnings are forgotten. What is not known is passed over. */
  end(attempts: readonly AttemptKey[]): Promise<void>;
}

/** As many events as one group may have. */
export const BEGIN_MAX = 1000;
