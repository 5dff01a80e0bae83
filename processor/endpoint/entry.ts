/** What the endpoint limiter answers to a delivery that asks to be attempted. */
import type { MissedState } from "@posthaste/shared/domain/delivery.ts";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Lane } from "@posthaste/shared/domain/event.ts";

/** Why a delivery is deferred: it goes to the retry queue and uses no attempt. */
export type DeferReason = "breaker-open" | "throttled" | "busy" | "unresolved" | "exhausted";

/** The right to make one attempt; given back with its result. */
export interface Slot {
  readonly endpointId: string;
  readonly lane: Lane;
  /** Numbers the attempts of one endpoint. */
  readonly token: number;
}

export type Entry = Go | NotNow;

export interface Go {
  /** Attempt now, at the endpoint as it is now, and leave the slot afterwards. */
  readonly kind: "go";
  readonly slot: Slot;
  readonly endpoint: Endpoint;
}

export type NotNow =
  /** The endpoint cannot be asked, or the delivery would hold up others: the same attempt again at `untilMs`. */
  | { readonly kind: "defer"; readonly why: DeferReason; readonly untilMs: number }
  /** Too many deliveries of this endpoint are deferred already. */
  | { readonly kind: "overflow" }
  /** The endpoint has failed for all of the delivery's schedule: it is dead. */
  | { readonly kind: "given-up"; readonly reason: string }
  /** The endpoint takes no deliveries. */
  | { readonly kind: "inactive"; readonly state: MissedState; readonly reason: string }
  /** The process stops: the delivery goes back to its queue. */
  | { readonly kind: "stopping" };

export const STOPPING: NotNow = { kind: "stopping" };
export const OVERFLOW: NotNow = { kind: "overflow" };
