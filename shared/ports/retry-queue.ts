/**
 * What is to be attempted at a known time: retries, deferred deliveries, replays, and events with `deliver_at`.
 * At least once; handed out at or after `notBeforeMs`, ordered by it; never early, but for what `recall` made due. Durable
 * when `schedule` resolves.
 * A crash leaves items that were taken but not acked; they are handed out again.
 */
import type { Envelope } from "../domain/envelope.ts";
import type { Group } from "../domain/message.ts";
import type { Depth } from "./lanes.ts";

/**
 * `parked`: deferred without an attempt (the word is older than the name, and stored); with no endpoint, an event that was put
 * aside, which is fanned out when it comes back.
 * `relieved`: a copy of an event whose deliveries held up the lane behind it; each is made unless the ledger shows it.
 * One that was deferred since names its endpoint and stays what it is.
 */
export type ScheduleCause = "retry" | "parked" | "replay" | "deliver-at" | "relieved";

export interface Scheduled {
  readonly cause: ScheduleCause;
  /** Epoch ms. */
  readonly notBeforeMs: number;
  /** Null for `deliver-at`, and for what was not fanned out of the others: that happens when it is due. */
  readonly endpointId: string | null;
  readonly generation: number;
  /** The attempt to make, from 1. */
  readonly attempt: number;
  /** How often this attempt was deferred for its endpoint's sake: each time it waits longer. */
  readonly deferrals: number;
  /** How often nothing could be sent, for a reason of our own side (`isUnsent`); the attempt is counted after some. */
  readonly unmade: number;
  /** How often it could not be worked on, and was put aside; dead after some. */
  readonly putAside: number;
  /** One event, or the members of a group. */
  readonly members: readonly Envelope[];
  readonly group: Group | null;
}

/** One event that is not part of a group. Without an endpoint it is fanned out when it is due. */
export function scheduledEvent(
  envelope: Envelope,
  plan: {
    readonly cause: ScheduleCause;
    readonly notBeforeMs: number;
    readonly endpointId: string | null;
    readonly generation: number;
    readonly attempt: number;
    /** 0 unless told, these three. */
    readonly deferrals?: number;
    readonly unmade?: number;
    readonly putAside?: number;
  },
): Scheduled {
  return { deferrals: 0, unmade: 0, putAside: 0, ...plan, members: [envelope], group: null };
}

/** Waits for its endpoint without an attempt, and may be recalled. A copy that the lane gave away may wait for its first time. */
export function isDeferred({ cause, deferrals, unmade, endpointId }: Scheduled): boolean {
  return endpointId !== null && (cause === "parked" || (cause === "relieved" && deferrals + unmade > 0));
}

export interface RetryItem extends Scheduled {
  /** As for lanes; always true for items found at start. */
  readonly isRepeat: boolean;
  readonly handle: unknown;
}

export type ScheduleResult =
  | { readonly kind: "scheduled" }
  /** The bound is reached, and nothing of the call was kept. `retryAfterS`: for the answer to a caller outside. */
  | { readonly kind: "full"; readonly retryAfterS: number };

/** One object for all calls. */
export const SCHEDULED: ScheduleResult = { kind: "scheduled" };

export interface RetryQueue {
  /** All or nothing. Bounded: past the bound the answer is `full`. A store that fails or is too busy throws. */
  schedule(items: readonly Scheduled[]): Promise<ScheduleResult>;
  /** Waits until something is due, then resolves with 1 to `max` items; with none only when `signal` is aborted. */
  take(max: number, signal: AbortSignal): Promise<readonly RetryItem[]>;
  ack(items: readonly RetryItem[]): Promise<void>;
  release(items: readonly RetryItem[]): Promise<void>;
  /**
   * Makes up to `max` deferred items of the endpoint due now, about the soonest first; resolves with how many those were.
   * A hint: what lies where the driver cannot reach it keeps its time, and a crash may give the others theirs back. Only
   * deferred items are ever made due early; each of them is still handed out once.
   */
  recall(endpointId: string, max: number): Promise<number>;
  /** `oldestAtMs` is the earliest `notBeforeMs`. */
  depth(): Promise<Depth>;
}
