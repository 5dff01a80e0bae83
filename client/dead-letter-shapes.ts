/** Dead letters as they are shown, filtered and replayed. */
import type { EventFacts, HeldState } from "./event-shapes.ts";
import type { TimeQuery } from "./shapes.ts";

export type MissedState = "dead" | "expired" | HeldState;

export interface DeadLetter {
  readonly id: string;
  readonly tenant: string;
  readonly event_id: string;
  readonly event_type: string;
  /** Null for an event that was never fanned out. */
  readonly endpoint_id: string | null;
  readonly state: MissedState;
  readonly reason: string;
  readonly attempt_count: number;
  readonly at: string;
  readonly event: EventFacts;
}

export interface DeadLetterWithData extends DeadLetter {
  readonly data: unknown;
}

/** By the time of the letter. */
export interface DeadLetterFilter extends TimeQuery {
  readonly endpoint_id?: string | undefined;
  readonly event_id?: string | undefined;
  readonly type?: string | undefined;
  readonly state?: MissedState | undefined;
}

export interface ReplayWish extends DeadLetterFilter {
  /** 1 to 1,000; 100 by default. */
  readonly rate_per_s?: number | undefined;
  readonly dry_run?: boolean | undefined;
  /** `next_cursor` of the call before, with the same filter. */
  readonly cursor?: string | undefined;
}

export interface Replayed {
  readonly delivery_id: string;
  readonly event_id: string;
  readonly endpoint_id: string | null;
}

export interface ReplayedMany {
  readonly matched: number;
  readonly replayed: number;
  readonly skipped: number;
  readonly dry_run: boolean;
  readonly has_more: boolean;
  readonly next_cursor?: string;
}
