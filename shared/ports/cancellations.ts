/**
 * Events with `deliver_at` that were cancelled before their time. Of a cancellation and the beginning of the fan-out the
 * first one holds, on whatever processes they are: an event is cancelled or it is sent, and never both. Events without
 * `deliver_at` are never asked about.
 *
 * Durability: as for accepted events of the set's lanes. What was cancelled is remembered for at least
 * `CANCELLED_KEPT_MS` after its `deliver_at`.
 */
import type { Envelope } from "../domain/envelope.ts";
import { PosthasteError } from "../domain/errors.ts";

/** An event with `deliver_at`. The acceptance tells it from a later one of the same id. */
export type PlannedEvent = Pick<Envelope, "tenant" | "id" | "acceptedAtMs"> & { readonly deliverAtMs: number };

/** `begun`: its time has come, or its fan-out has begun before. */
export type Decision = "cancelled" | "begun";

export interface Cancellations {
  /** Durable when it resolves with `cancelled`, and the same again however often. Throws `overloaded` past the bounds. */
  cancel(event: PlannedEvent): Promise<Decision>;
  /** For whoever is about to fan the event out: from `begun` on it cannot be cancelled. Asked again it says the same. */
  begin(event: PlannedEvent): Promise<Decision>;
}

export const CANCELLED_KEPT_MS = 8 * 24 * 3600 * 1000;

/** Cancelled events that are remembered at most, and of one tenant at most a share of them. */
export const CANCELLED_MAX = 400_000;
export const CANCELLED_TENANT_SHARE = 0.5;
/** They are forgotten as their times pass. */
const RETRY_AFTER_S = 300;

/** The refusal of a further cancellation. */
export function cancellationsFull(of: "tenant" | "all"): PosthasteError {
  const whose = of === "tenant" ? "The tenant has" : "There are";
  const detail = `${whose} as many cancelled events ahead of their time as can be kept; try again later.`;
  return new PosthasteError("overloaded", { detail, retryAfterS: RETRY_AFTER_S });
}
