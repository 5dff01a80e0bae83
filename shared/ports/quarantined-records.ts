/**
 * Records that could not be read and were put aside, for the operator to look at. An index of the newest: the raw record is
 * kept elsewhere, whole, whatever becomes of this. They belong to no tenant, as what cannot be read names none.
 */
import type { Page } from "./dead-letters.ts";

export interface QuarantinedRecord {
  /** `qtn_...`, by the time at which it was put aside. */
  readonly id: string;
  /** Where it came from: a topic without its prefix, or `redis.high`. */
  readonly source: string;
  readonly partition: number;
  readonly offset: number;
  /** One sentence. */
  readonly reason: string;
  readonly atMs: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Of the value as it was. */
  readonly bytes: number;
  /** Its first `QUARANTINE_BYTES_MAX` bytes; null when it had none. */
  readonly value: Uint8Array | null;
}

/** Records that are kept; the oldest make room. */
export const QUARANTINE_RECORDS_MAX = 500;
/** Of one record's value. */
export const QUARANTINE_BYTES_MAX = 32 * 1024;

export interface QuarantinedRecords {
  /** Newest first, 1 to 100 in a page. Throws `invalid-cursor`, `store-unavailable`. */
  list(limit: number, cursor: string | null): Promise<Page<QuarantinedRecord>>;
  count(): Promise<number>;
  find(id: string): Promise<QuarantinedRecord | null>;
  /** Does nothing when it is gone. */
  remove(id: string): Promise<void>;
  /**
   * Puts the record back to where it came from, as it was, and is durable there when this resolves; it stays listed until
   * `remove`. False when it is not kept whole. What still cannot be read is put aside again.
   */
  putBack(record: QuarantinedRecord): Promise<boolean>;
}
