/** What the live tail shows (docs/api.md, "Watch it live"). */
import type { DeliveryState } from "./event-shapes.ts";
import type { Lane } from "./shapes.ts";

/** `failed` is `retry` and `dead`. */
export type OutcomeFilter = "delivered" | "retry" | "dead" | "failed";

export interface TailFilter {
  /** A type, or a prefix with `.*`. */
  readonly type?: string | undefined;
  readonly lane?: Lane | undefined;
  readonly endpoint_id?: string | undefined;
  readonly outcome?: OutcomeFilter | undefined;
}

export interface AcceptedEntry {
  readonly id: string;
  readonly tenant: string;
  readonly type: string;
  readonly lane: Lane;
  readonly accepted_at: string;
  readonly deliver_at: string | null;
  readonly body_bytes: number;
}

export interface DeliveryEntry {
  readonly event_id: string;
  readonly tenant: string;
  readonly type: string;
  readonly lane: Lane;
  readonly endpoint_id: string;
  readonly replayed_at: string | null;
  readonly at: string;
  readonly attempt: number;
  readonly state: DeliveryState;
  readonly reason: string | null;
  readonly next_attempt_at: string | null;
  readonly group_id?: string;
}

export interface AttemptEntry extends DeliveryEntry {
  readonly outcome: "delivered" | "retry" | "dead";
  readonly status: number | null;
  readonly fault: string | null;
  readonly duration_ms: number;
}

export interface EndEntry {
  readonly code: string;
  readonly detail: string;
  readonly unsent: number;
}

export type TailEntry =
  /** The first of a stream: all that happens from now on is shown. `at` is the gateway's time, null when it does not say. */
  | { readonly event: "watching"; readonly data: { readonly at: string | null } }
  | { readonly event: "accepted"; readonly data: AcceptedEntry }
  | { readonly event: "attempt"; readonly data: AttemptEntry }
  | { readonly event: "delivery"; readonly data: DeliveryEntry }
  /** So many entries before this one were not shown; null: nobody knows. */
  | { readonly event: "lost"; readonly data: { readonly count: number | null } }
  /** The last of a stream. */
  | { readonly event: "end"; readonly data: EndEntry };
