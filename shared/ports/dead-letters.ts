/**
 * The record of deliveries that will not be made without someone's doing: dead, paused, disabled, backlog, expired.
 * Durable when `append` resolves, idempotent by delivery id, bodies included. Lists are newest first. Bounded in bytes:
 * past the bound the oldest of the tenant that keeps most are dropped, and the ledger shows them as expired.
 */
import type { DeliveryKey, MissedState } from "../domain/delivery.ts";
import type { Envelope } from "../domain/envelope.ts";

export interface DeadLetter extends DeliveryKey {
  /** `dlv_...` of `deliveryId`. */
  readonly id: string;
  readonly state: MissedState;
  readonly reason: string;
  /** Attempts made in this generation. */
  readonly attempts: number;
  readonly atMs: number;
  readonly envelope: Envelope;
}

/** The event was delivered to the endpoint, by whatever generation. */
export interface DeliveredSince extends Pick<DeliveryKey, "tenant" | "eventId" | "endpointId"> {
  /** When, in epoch ms. A generation that begins after it was asked for afterwards, and is still owed. */
  readonly atMs: number;
}

/** A dead letter without its event. */
export interface EndedDeadLetter extends DeliveryKey {
  readonly id: string;
  readonly eventType: string;
  readonly state: MissedState;
  readonly attempts: number;
}

export interface DeadLetterFilter {
  /** Null: all tenants (operator). */
  readonly tenant: string | null;
  readonly endpointId?: string;
  readonly eventId?: string;
  readonly eventType?: string;
  readonly state?: MissedState;
  readonly sinceMs?: number;
  /** Exclusive. */
  readonly untilMs?: number;
}

export interface Page<Row> {
  readonly rows: readonly Row[];
  /** Give it back as `cursor` for what follows; null at the end. */
  readonly next: string | null;
}

export interface DeadLetters {
  append(deadLetters: readonly DeadLetter[]): Promise<void>;
  find(id: string): Promise<DeadLetter | null>;
  /** Newest first by `atMs`, at most `limit` (1 to 1,000). Throws `invalid-cursor`. */
  list(filter: DeadLetterFilter, limit: number, cursor: string | null): Promise<Page<DeadLetter>>;
  /**
   * Takes dead letters out of the record (replayed or deleted), as they were found. Those that are gone are passed over,
   * and later news of the same delivery stay.
   */
  remove(deadLetters: readonly DeadLetter[]): Promise<void>;
  /**
   * Takes out what is kept of these events at these endpoints, of all generations that began until then: it was delivered
   * since. Returns what was there; twice does nothing.
   */
  removeDelivered(delivered: readonly DeliveredSince[]): Promise<readonly EndedDeadLetter[]>;
  count(filter: DeadLetterFilter): Promise<number>;
}
