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

export function isHeld(state: DeliveryState): boolean {
  return HELD_STATES.some((each) => each === state);
}

/**
 * States that nothing leaves: no further attempt belongs to the generation. What is held goes on in its own generation
 * when the endpoint recovers; a replay by hand starts a new one.
 */
const FINAL_STATES: ReadonlySet<DeliveryState> = new Set(["delivered", "dead", "filtered", "expired"]);

export function isFinal(state: DeliveryState): boolean {
  return FINAL_STATES.has(state);
}

/** What a delivery waits for that is planned again; the words beside it are in its reason. */
export const WAIT_CODES = [
  "retry", // the next attempt, after one that failed
  "first-wait", // the retry policy begins with a wait
  "breaker-open", // the endpoint failed several times in a row
  "throttled", // the endpoint asked for less, or its rate limit is reached
  "busy", // the endpoint answers slowly
  "unresolved", // no name server answered
  "exhausted", // this machine had no socket, port or memory left
  "unreadable", // the tenant's endpoints cannot be read
  "failed", // an unexpected error
  "crowded", // others of the tenant have all the room that one tenant may have
] as const;
export type WaitCode = (typeof WAIT_CODES)[number];

/** Waits that follow from the schedule of attempts; all others are deferrals. */
export const SCHEDULE_WAITS = ["retry", "first-wait"] as const satisfies readonly WaitCode[];

/** Where a delivery's time went, in ms, apart from its attempts. */
export interface DeliveryTimes {
  /** In its lane, from when it could be sent (acceptance, `deliver_at`, its replay) to when a processor took it. */
  readonly laneMs: number;
  /** For a slot at its endpoint, while a processor had it. */
  readonly limiterMs: number;
  /** Deferred or held, until a processor took it again. */
  readonly deferredMs: number;
  /** Between attempts, as its retry schedule says. */
  readonly retryMs: number;
}

/** What leads to one record of a delivery: from being taken from its queue to what it waits for next. */
export interface Leg {
  /** From when it could be sent. */
  readonly sinceMs: number;
  readonly takenAtMs: number;
  readonly limiterMs: number;
  /** Null when it waits for nothing that is planned. */
  readonly wait: WaitCode | null;
}

/** The times after the first record of a delivery. */
export function firstTimes({ sinceMs, takenAtMs, limiterMs }: Leg): DeliveryTimes {
  return { laneMs: Math.max(0, takenAtMs - sinceMs), limiterMs, deferredMs: 0, retryMs: 0 };
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
