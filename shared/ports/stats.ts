/**
 * Real-time counts per tenant and per endpoint over the last 24 h. A projection: `add` never waits and may lose
 * counts under overload (counted by the driver).
 */
import type { Lane } from "../domain/event.ts";

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
      readonly outcome: "delivered" | "retry" | "dead";
      readonly durationMs: number;
      readonly atMs: number;
    };

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
}

export const STAT_TYPES_MAX = 200;
export const STATS_KEPT_MS = 24 * 3600 * 1000;

export interface Stats {
  add(entries: readonly StatEntry[]): void;
  tenant(tenant: string): Promise<TenantStats>;
  endpoint(tenant: string, endpointId: string): Promise<EndpointStats>;
}
