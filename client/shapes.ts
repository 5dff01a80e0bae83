/** What calls share: times, lists, options. Fields are named as the API names them (docs/api.md). */

/** A moment as RFC 3339 text, as the API writes it, or as a `Date`. */
export type Instant = string | Date;

export interface Page<Row> {
  readonly data: readonly Row[];
  /** Where the next page begins; null after the last. A page may be short, or empty, before that. */
  readonly next_cursor: string | null;
}

export interface PageQuery {
  /** 1 to 100; 20 by default. */
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

export interface TimeQuery {
  readonly since?: Instant | undefined;
  /** Exclusive. */
  readonly until?: Instant | undefined;
}

export interface CallOptions {
  /** Ends the call with the signal's reason, waits between tries included. What was sent may have been done. */
  readonly signal?: AbortSignal | undefined;
  /** For operator keys: the tenant that is acted for, instead of the client's. */
  readonly tenant?: string | undefined;
}

export interface KeyedCallOptions extends CallOptions {
  /** 1 to 255 visible ASCII characters. Left out, the client makes one for the call; each of its tries carries it. */
  readonly idempotencyKey?: string | undefined;
}

export type Lane = "high" | "medium" | "low";

/** What is being waited for; `until` is null when nobody knows, and past while it is under way. */
export interface Waiting {
  readonly for: string;
  readonly since: string;
  readonly until: string | null;
}
