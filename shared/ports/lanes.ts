/**
 * The three queues that accepted events wait in. At least once, roughly first in first out within a tenant and event type;
 * tenants are served in turn, and within a tenant its flows (`domain/flow.ts`). No order across lanes. Bounded: past its bound `append` throws `overloaded` and nothing is kept; a lane on a log has the log's
 * disk as its bound.
 *
 * An id whose append failed may be used again, for another event with a later acceptance time. The copy that the failed
 * append may have left on a log must not stand for that one.
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
import { PosthasteError } from "../domain/errors.ts";
import type { Lane } from "../domain/event.ts";
import type { Admits } from "../lib/flow-rows.ts";

export interface LaneItem {
  readonly lane: Lane;
  readonly envelope: Envelope;
  /** May have been worked on before: ask the ledger before each attempt. False is a promise that it was not. */
  readonly isRepeat: boolean;
  /**
   * Handed out although it is not admitted: it and others like it take all the room that the driver has for reading ahead,
   * and nobody behind them is seen before they are put elsewhere. Left out means no.
   */
  readonly isSurplus?: boolean;
  /** The driver's own handle; opaque. */
  readonly handle: unknown;
}

export interface Depth {
  /** Items not yet acked, held ones included. */
  readonly count: number;
  /** Acceptance time of the oldest one in epoch ms; null when there is none. */
  readonly oldestAtMs: number | null;
}

/** Some of the envelopes of an append are kept. Those in `failures` are not, as far as is known. */
export class PartlyAppended extends PosthasteError {
  readonly failures: ReadonlyMap<Envelope, unknown>;
  constructor(failures: ReadonlyMap<Envelope, unknown>) {
    super("store-unavailable", `${failures.size} events could not be stored, others were.`);
    this.failures = failures;
  }
}

export interface Lanes {
  /**
   * Each envelope goes to the lane of its own priority. A few are kept all or none where one store keeps them all; of many it throws
   * `PartlyAppended` when some are kept and some failed, and the failure itself when all failed. What failed is not
   * shown by the ledger; on a log it may have been written all the same, as when the answer of a single append is lost.
   */
  append(envelopes: readonly Envelope[]): Promise<void>;
  /**
   * Waits until there is work, then resolves with 1 to `max` items; with none only when `signal` is aborted. With `admits`
   * only items of tenants and flows that it lets pass, asked right before each; the others stay, and keep nobody waiting.
   */
  take(lane: Lane, max: number, signal: AbortSignal, admits?: Admits): Promise<readonly LaneItem[]>;
  /** What the `admits` of a take refused may pass by now. */
  lookAgain(lane: Lane): void;
  /** The items are done for good; resolves when that is durable. Crash before: they are handed out again. */
  ack(items: readonly LaneItem[]): Promise<void>;
  /** Hands items back, for this or another process to take at once; as repeats, for some of their deliveries may have been made. */
  release(items: readonly LaneItem[]): Promise<void>;
  depth(lane: Lane): Promise<Depth>;
}
