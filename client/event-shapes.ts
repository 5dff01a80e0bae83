/** Events as they are published and as the API shows them. */
import type { Problem } from "./problem.ts";
import type { Instant, Lane, Waiting } from "./shapes.ts";

export type Priority = "HIGH" | "MEDIUM" | "LOW";

export interface NewEvent {
  /** Segments of `A-Z a-z 0-9 _ -` joined by dots, at most 128 characters. */
  readonly type: string;
  /** Any JSON, null too; the event has at most 256 KiB. */
  readonly data: unknown;
  /** MEDIUM by default. */
  readonly priority?: Priority | undefined;
  /** An id of your own, `[A-Za-z0-9_-]{1,64}`: the same event published twice is one. */
  readonly id?: string | undefined;
  readonly tenant?: string | undefined;
  /** When it happened; by default when it is accepted. */
  readonly timestamp?: Instant | undefined;
  /** Not before; at most 30 days ahead. */
  readonly deliver_at?: Instant | undefined;
}

/** An event as JSON text that is sent as it stands: numbers keep all their digits. */
export interface EventText {
  readonly json: string;
}

/** The event is durable. */
export interface Published {
  readonly id: string;
  readonly lane: Lane;
  readonly status_url: string;
}

export type BatchResult =
  | (Published & { readonly status: 202; readonly idempotent_replayed?: boolean })
  | { readonly status: number; readonly problem: Problem };

export type EventState = "pending" | "delivered" | "partial" | "dead" | "filtered" | "cancelled";

export interface EventFacts {
  readonly id: string;
  readonly tenant: string;
  readonly type: string;
  readonly priority: Priority;
  readonly lane: Lane;
  readonly timestamp: string;
  readonly accepted_at: string;
  readonly deliver_at: string | null;
  readonly trace_id: string | null;
  readonly body_bytes: number;
}

export interface ListedEvent extends EventFacts {
  readonly state: EventState;
}

export type HeldState = "paused" | "disabled" | "backlog";
export type DeliveryState = "pending" | "retrying" | "delivered" | "dead" | "filtered" | "expired" | HeldState;

export interface Attempt {
  readonly attempt: number;
  readonly at: string;
  readonly outcome: "delivered" | "retry" | "dead";
  readonly duration_ms: number;
  /** Null when no answer came; `fault` then says why. */
  readonly status: number | null;
  readonly fault: string | null;
  readonly detail: string | null;
  readonly response: { readonly excerpt: string; readonly is_cut: boolean } | null;
  readonly group_id?: string;
}

/** Where a delivery's time went, in milliseconds. */
export interface DeliveryTimes {
  readonly lane_ms: number;
  readonly limiter_ms: number;
  readonly deferred_ms: number;
  readonly retry_ms: number;
  readonly attempts_ms: number;
}

export interface Delivery {
  readonly id: string;
  readonly endpoint_id: string | null;
  readonly url: string | null;
  readonly state: DeliveryState;
  readonly reason: string | null;
  readonly replayed_at: string | null;
  readonly attempt_count: number;
  readonly next_attempt_at: string | null;
  readonly waiting: Waiting | null;
  readonly times: DeliveryTimes | null;
  readonly attempts: readonly Attempt[];
}

export interface EventStatus extends ListedEvent {
  readonly reason: string | null;
  readonly waiting: Waiting | null;
  readonly filtered_count: number;
  readonly deliveries: readonly Delivery[];
  /** With `include: ["data"]`. */
  readonly data?: unknown;
}

export interface Why {
  readonly event_id: string;
  readonly endpoint_id: string;
  readonly waiting: Waiting | null;
  /** In the order in which they are made. */
  readonly decisions: readonly Decision[];
}

export interface Decision {
  readonly on: "event" | "match" | "endpoint" | "limit" | "breaker" | "retry" | "outcome";
  readonly code: string;
  readonly detail: string;
}

export interface Resent {
  readonly event_id: string;
  readonly replayed_at: string;
  readonly deliveries: readonly { readonly delivery_id: string; readonly endpoint_id: string }[];
  readonly skipped: readonly { readonly endpoint_id: string; readonly reason: string }[];
}

export interface Cancelled {
  readonly id: string;
  readonly state: "cancelled";
  readonly deliver_at: string;
}
