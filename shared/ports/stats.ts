/**
 * Real-time counts per tenant and per endpoint over the last 24 h, and of each lane by the minute over the last hour. A
 * projection: `add` never waits and may lose counts under overload (counted by the driver).
 */
import type { Lane } from "../domain/event.ts";
import type { BreakerState } from "../lib/circuit-breaker.ts";
import type { LaneMinute, PendingMinutes } from "../domain/lane-minutes.ts";

/** What the process that asks an endpoint knows of it; each process learns by itself. */
export interface EndpointSeen {
  /** Attempts under way, and how many there may be. */
  readonly inFlight: number;
  readonly inFlightMax: number;
  readonly breaker: BreakerState;
}

export type StatEntry =
  | {
      readonly kind: "accepted";
      readonly tenant: string;
      readonly type: string;
      readonly lane: Lane;
      readonly atMs: number;
    }
  | {
      readonly kind: "attempt";
      readonly tenant: string;
      readonly endpointId: string;
      readonly lane: Lane;
      readonly outcome: "delivered" | "retry" | "dead";
      readonly durationMs: number;
      /** One for each event that the attempt carried: since when it could have been delivered. */
      readonly sinceDueMs: readonly number[];
      /** Right after it; null when that was forgotten. */
      readonly seen: EndpointSeen | null;
      readonly atMs: number;
    };

const outcomeFields = { delivered: "delivered", retry: "retried", dead: "dead" } as const;

/** How every store counts an entry for its lane. */
export function countMinute(minutes: PendingMinutes, entry: StatEntry): void {
  if (entry.kind === "accepted") return minutes.accepted(entry.lane, entry.atMs);
  for (const ms of entry.sinceDueMs) minutes.ended(entry.lane, outcomeFields[entry.outcome], ms, entry.atMs);
}

export interface TenantStats {
  readonly totalEvents: number;
  /** Counts by event type; at most `STAT_TYPES_MAX` types, the rest under `other`. */
  readonly byType: Readonly<Record<string, number>>;
}

export interface EndpointStats {
  readonly attempts: number;
  readonly delivered: number;
  readonly retried: number;
  readonly dead: number;
  readonly durationMsMean: number | null;
  readonly lastAttemptAtMs: number | null;
  /** As the process of the last attempt had it then; null where no attempt told. */
  readonly seen: EndpointSeen | null;
}

/** As stores have them. */
export const BREAKER_STATES = ["closed", "half-open", "open"] as const satisfies readonly BreakerState[];
export const STAT_TYPES_MAX = 200;
export const STATS_KEPT_MS = 24 * 3600 * 1000;

export interface Stats {
  add(entries: readonly StatEntry[]): void;
  tenant(tenant: string): Promise<TenantStats>;
  endpoint(tenant: string, endpointId: string): Promise<EndpointStats>;
  /** Of the whole deployment, all tenants together: `FLOW_KEPT_MS` back, oldest minute first, each event of an attempt counted. */
  flow(): Promise<readonly LaneMinute[]>;
}
