/** Endpoints as they are made, changed and shown. */
import type { Attempt } from "./event-shapes.ts";
import type { Lane } from "./shapes.ts";

export type RetryPolicy =
  | { readonly delays_s: readonly number[] }
  | { readonly base_s: number; readonly factor: number; readonly max_s: number; readonly attempts: number };

export interface RateLimit {
  readonly limit: number;
  readonly window_ms: number;
}

export interface BatchSetting {
  readonly max_events: number;
  readonly max_wait_ms: number;
}

export interface NewEndpoint {
  readonly url: string;
  /** Types, prefixes with `.*`, or `*`, which is the default. */
  readonly event_types?: readonly string[] | undefined;
  readonly description?: string | undefined;
  /** Sent with each delivery; their values are never shown again. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** `whsec_...`; left out, one is made. */
  readonly secret?: string | undefined;
  readonly retry?: RetryPolicy | null | undefined;
  readonly rate_limit?: RateLimit | null | undefined;
  readonly batch?: BatchSetting | null | undefined;
  readonly paused?: boolean | undefined;
  readonly tenant?: string | undefined;
}

/** Changes what is named; null takes a setting or a header back. */
export interface EndpointChanges {
  readonly url?: string | undefined;
  readonly event_types?: readonly string[] | undefined;
  readonly description?: string | undefined;
  readonly headers?: Readonly<Record<string, string | null>> | null | undefined;
  readonly retry?: RetryPolicy | null | undefined;
  readonly rate_limit?: RateLimit | null | undefined;
  readonly batch?: BatchSetting | null | undefined;
  readonly paused?: boolean | undefined;
  /** false enables an endpoint that Posthaste disabled. */
  readonly disabled?: false | undefined;
}

export type EndpointStatus = "active" | "paused" | "disabled";

export interface Endpoint {
  readonly id: string;
  readonly tenant: string;
  readonly url: string;
  readonly event_types: readonly string[];
  readonly description: string;
  /** Names alone; each value is `***`. */
  readonly headers: Readonly<Record<string, string>>;
  readonly retry: RetryPolicy;
  readonly rate_limit: RateLimit | null;
  readonly batch: BatchSetting | null;
  readonly status: EndpointStatus;
  readonly status_reason: string | null;
  readonly status_since: string | null;
  readonly failing_since: string | null;
  readonly created_at: string;
  readonly updated_at: string;
}

/** The secret is shown here and at a rotation, and never again. */
export interface CreatedEndpoint extends Endpoint {
  readonly secret: string;
}

export interface RotatedSecret {
  readonly secret: string;
  /** Until then the old one signs beside it. */
  readonly previous_expires_at: string | null;
}

/** The event that was sent as a test. */
export interface SentTest {
  readonly id: string;
  readonly lane: Lane;
  readonly status_url: string;
}

/** One attempt of an endpoint's, with what it was made for. */
export interface EndpointAttempt extends Attempt {
  readonly delivery_id: string;
  readonly event_id: string;
  readonly event_type: string;
  readonly replayed_at: string | null;
}

/** Of the last 24 to 25 hours. */
export interface EndpointStats {
  readonly attempts: number;
  readonly delivered: number;
  readonly retried: number;
  readonly dead: number;
  readonly duration_ms_mean: number | null;
  readonly last_attempt_at: string | null;
  /** Right after the last attempt, as the processor that made it had it. */
  readonly last_seen: {
    readonly in_flight: number;
    readonly in_flight_max: number;
    readonly breaker: "closed" | "half-open" | "open";
  } | null;
}
