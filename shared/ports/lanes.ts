/**
 * The three queues that accepted events wait in. At least once, roughly first in first out within a lane, no order
 * across lanes. Bounded: past its bound `append` throws `overloaded` and nothing is kept; a lane on a log has the log's
 * disk as its bound.
 *
 * Durability: when `append` resolves, every envelope survives SIGKILL of any of our processes, and the ledger knows
 * the event (same step or soon after). Appending an event id that the lane set already keeps does nothing; on a
 * log that holds while its reader remembers it, and the ledger sees to the rest.
 * A crash leaves items that were taken but not acked; they are handed out again with `isRepeat` true.
 *
 * The caller records in the ledger what became of an event before it acks it: a driver that forgets an acked event may
 * hand it out once more, and only the ledger tells then that it was done.
 */
import type { Envelope } from "../domain/envelope.ts";
import type { Lane } from "../domain/event.ts";

export interface LaneItem {
  readonly lane: Lane;
  readonly envelope: Envelope;
  /** May have been worked on before: ask the ledger before each attempt. False is a promise that it was not. */
  readonly isRepeat: boolean;
  /** The driver's own handle; opaque. */
  readonly handle: unknown;
}

export interface Depth {
  /** Items not yet acked, held ones included. */
  readonly count: number;
  /** Acceptance time of the oldest one in epoch ms; null when there is none. */
  readonly oldestAtMs: number | null;
}

export interface Lanes {
  /** All or nothing. Each envelope goes to the lane of its own priority. */
  append(envelopes: readonly Envelope[]): Promise<void>;
  /** Waits until there is work, then resolves with 1 to `max` items; with none only when `signal` is aborted. */
  take(lane: Lane, max: number, signal: AbortSignal): Promise<readonly LaneItem[]>;
  /** The items are done for good; resolves when that is durable. Crash before: they are handed out again. */
  ack(items: readonly LaneItem[]): Promise<void>;
  /** Hands items back untouched, for this or another process to take at once. */
  release(items: readonly LaneItem[]): Promise<void>;
  depth(lane: Lane): Promise<Depth>;
}
