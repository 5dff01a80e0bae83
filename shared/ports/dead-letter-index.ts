/**
 * The dead letters as people look at them, beside a record that is the truth: kept up by whoever writes the record and,
 * again, by whoever reads it. Idempotent; what was dropped does not come back by a late repeat of its put.
 */
import type { DeadLetter, DeadLetters, DeliveredSince, EndedDeadLetter } from "./dead-letters.ts";

/** A dead letter, what sets it apart from other news of its delivery, and its place in the record once that is known. */
export interface IndexedDeadLetter {
  readonly deadLetter: DeadLetter;
  /** The same for repeats of one append. */
  readonly revision: string;
  readonly place: DeadLetterPlace | null;
}

export interface DeadLetterPlace {
  readonly partition: number;
  readonly offset: number;
}

export interface DeadLetterDrop {
  readonly id: string;
  /** Null: not known; then the place alone decides, and without one whatever is there is dropped. */
  readonly revision: string | null;
  /** Of a tombstone without a revision: what the record has before it is dropped. */
  readonly place: DeadLetterPlace | null;
}

/** The last record of a delivery that was read so far. */
export interface ReadDeadLetterRecord {
  readonly id: string;
  readonly revision: string | null;
  readonly isTombstone: boolean;
  readonly place: DeadLetterPlace;
}

/**
 * A record that came late, behind others of its delivery, so that the record ends with what holds no more: `gone`, a dead
 * letter that was taken out; `outdated`, earlier news or the tombstone of such, behind what is there now.
 */
export type StrayDeadLetterRecord =
  | { readonly kind: "gone"; readonly id: string; readonly revision: string | null }
  | { readonly kind: "outdated"; readonly id: string };

/** A dead letter that is not there any more, or is to go. */
export interface DroppedDeadLetter extends EndedDeadLetter {
  readonly revision: string;
}

export interface DeadLetterIndex extends Pick<DeadLetters, "find" | "list" | "count"> {
  /**
   * Later news of a delivery replace older ones. Returns what is over the bound: the oldest of the fullest tenant. Each
   * comes again with the next put until it was dropped by its revision. In order; a crash may leave a part undone.
   */
  put(deadLetters: readonly IndexedDeadLetter[]): Promise<readonly DroppedDeadLetter[]>;
  /** Returns what was there. */
  drop(drops: readonly DeadLetterDrop[]): Promise<readonly DroppedDeadLetter[]>;
  /** What `removeDelivered` of the port `dead-letters` is to take out. */
  delivered(delivered: readonly DeliveredSince[]): Promise<readonly DroppedDeadLetter[]>;
  /** Those that came late, of records that were put or dropped. */
  strays(records: readonly ReadDeadLetterRecord[]): Promise<readonly StrayDeadLetterRecord[]>;
  /** False when it may lack what the record has: it is new, or its store lost data. */
  isWhole(): Promise<boolean>;
  /** The record is about to be put in again from its beginning. */
  beginFilling(token: string): Promise<void>;
  /** It was: the index is whole unless its store lost data meanwhile, or another filling was begun. */
  endFilling(token: string): Promise<void>;
  /** Bytes of bodies that are kept at most. */
  readonly bytesMax: number;
  /** Dead letters that are kept at most. */
  readonly countMax: number;
}
