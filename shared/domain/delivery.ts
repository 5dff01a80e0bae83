/**
 * A delivery: the duty to bring one event to one endpoint. Its identity is (tenant, event, endpoint, generation), so
 * that a repeat after a crash is recognised; a manual replay opens a new generation.
 */
import type { Hasher } from "../lib/ambient.ts";
import { derivedId } from "./id.ts";

export type DeliveryState =
  | "pending" // fanned out, no attempt completed yet
  | "retrying" // an attempt failed, the next is planned
  | "delivered" // a 2xx came
  | "dead" // no automatic attempt left
  | "filtered" // the endpoint does not subscribe to the event's type
  | "paused" // held back: the owner paused the endpoint
  | "disabled" // held back: we disabled the endpoint
  | "backlog" // held back: too much waited for the endpoint
  | "expired"; // the queue lost it for age

/** States in which the delivery lies in the dead-letter record and can be replayed. */
export type MissedState = "dead" | "paused" | "disabled" | "backlog" | "expired";

export const MISSED_STATES = [
  "dead",
  "paused",
  "disabled",
  "backlog",
  "expired",
] as const satisfies readonly MissedState[];

export const DELIVERY_STATES = [
  "pending",
  "retrying",
  "delivered",
  "dead",
  "filtered",
  "paused",
  "disabled",
  "backlog",
  "expired",
] as const satisfies readonly DeliveryState[];

/** The states of what is held back until its endpoint recovers, and is then delivered without anyone's doing. */
export const HELD_STATES = ["paused", "disabled", "backlog"] as const satisfies readonly MissedState[];

/**
 * States that nothing leaves: no further attempt belongs to the generation. What is held goes on in its own generation
 * when the endpoint recovers; a replay by hand starts a new one.
 */
const FINAL_STATES: ReadonlySet<DeliveryState> = new Set(["delivered", "dead", "filtered", "expired"]);

export function isFinal(state: DeliveryState): boolean {
  return FINAL_STATES.has(state);
}

/**
 * Stands for the endpoint in the dead letter of an event that was never fanned out, because the tenant's endpoints could
 * not be read. A replay of it fans the event out.
 */
export const UNKNOWN_ENDPOINT = "ep_unknown";

export interface DeliveryKey {
  readonly tenant: string;
  readonly eventId: string;
  readonly endpointId: string;
  /** 0 for the first; a replay's own time in epoch ms, so that later replays count higher. */
  readonly generation: number;
}

/** `dlv_` + 26, time-sortable by acceptance, the same for the same key on every process. */
export function deliveryId(key: DeliveryKey, acceptedAtMs: number, hasher: Hasher): string {
  const content = `${key.tenant}\n${key.eventId}\n${key.endpointId}\n${key.generation}`;
  return derivedId("dlv", acceptedAtMs, hasher, content);
}
