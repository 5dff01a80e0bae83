/** Counts that were not written yet, added up in memory: one bucket for each tenant or endpoint and hour. Minutes of lanes have another place. */
import { unreachable } from "../../lib/assert.ts";
import type { EndpointSeen, StatEntry } from "../../ports/stats.ts";

const HOUR_MS = 3600 * 1000;

interface TypeBucket {
  readonly kind: "types";
  readonly tenant: string;
  readonly hour: number;
  readonly countByType: Map<string, number>;
  total: number;
}

interface OutcomeBucket {
  readonly kind: "outcomes";
  readonly tenant: string;
  readonly endpointId: string;
  readonly hour: number;
  delivered: number;
  retried: number;
  dead: number;
  durationMs: number;
  lastAtMs: number;
  /** Of the latest. */
  seen: EndpointSeen | null;
}

export type StatBucket = TypeBucket | OutcomeBucket;

export interface StatCounts {
  /** False when it would need a counter past the bound, and nothing was counted. */
  add(entry: StatEntry): boolean;
  /** Counters, each of them a field to write. */
  size(): number;
  takeAll(): readonly StatBucket[];
}

/** Holds at most `countersMax` counters; those that are there already go on counting past it. */
export function createStatCounts(countersMax: number): StatCounts {
  let typesByKey = new Map<string, TypeBucket>();
  let outcomesByKey = new Map<string, OutcomeBucket>();
  let size = 0;

  function addType(tenant: string, hour: number, type: string): boolean {
    const key = `${tenant} ${hour}`;
    const bucket = typesByKey.get(key) ?? { kind: "types", tenant, hour, countByType: new Map(), total: 0 };
    const count = bucket.countByType.get(type);
    if (count === undefined && size >= countersMax) return false;
    if (count === undefined) size++;
    typesByKey.set(key, bucket);
    bucket.countByType.set(type, (count ?? 0) + 1);
    bucket.total++;
    return true;
  }

  function outcomesOf(tenant: string, hour: number, endpointId: string): OutcomeBucket | null {
    const key = `${tenant} ${hour} ${endpointId}`;
    const known = outcomesByKey.get(key);
    if (known !== undefined) return known;
    if (size >= countersMax) return null;
    size++;
    const counts = { delivered: 0, retried: 0, dead: 0, durationMs: 0, lastAtMs: 0, seen: null };
    const fresh: OutcomeBucket = { kind: "outcomes", tenant, endpointId, hour, ...counts };
    outcomesByKey.set(key, fresh);
    return fresh;
  }

  return {
    add(entry) {
      const hour = entry.atMs - (entry.atMs % HOUR_MS);
      switch (entry.kind) {
        case "accepted":
          return addType(entry.tenant, hour, entry.type);
        case "attempt": {
          const bucket = outcomesOf(entry.tenant, hour, entry.endpointId);
          if (bucket === null) return false;
          bucket[fieldByOutcome[entry.outcome]]++;
          bucket.durationMs += entry.durationMs;
          if (entry.atMs >= bucket.lastAtMs) bucket.seen = entry.seen;
          bucket.lastAtMs = Math.max(bucket.lastAtMs, entry.atMs);
          return true;
        }
        default:
          return unreachable(entry);
      }
    },
    size: () => size,
    takeAll() {
      const all = [...typesByKey.values(), ...outcomesByKey.values()];
      typesByKey = new Map();
      outcomesByKey = new Map();
      size = 0;
      return all;
    },
  };
}

const fieldByOutcome = { delivered: "delivered", retry: "retried", dead: "dead" } as const;
