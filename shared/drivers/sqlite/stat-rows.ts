/** The rows of the stats: counts are added to them, and read as sums. What was edited by hand and is no count counts nothing. */
import { ID_TIME_MS_MAX } from "../../domain/id.ts";
import type { LaneMinute, MinuteCounts } from "../../domain/lane-minutes.ts";
import { FLOW_FIELDS, FLOW_KEPT_MS, FLOW_MINUTES_MAX, laneMinutes, MINUTE_MS } from "../../domain/lane-minutes.ts";
import { assert } from "../../lib/assert.ts";
import type { EndpointSeen, EndpointStats, TenantStats } from "../../ports/stats.ts";
import { BREAKER_STATES, STAT_TYPES_MAX } from "../../ports/stats.ts";
import type { Database } from "./database.ts";

/** Of types that have no name of their own. */
export const OTHER = "other";

export interface TypeCount {
  readonly tenant: string;
  readonly hour: number;
  readonly type: string;
  count: number;
}

export interface EndpointCount {
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

/** No clock shows such an hour, and no hour counts so much: a row that says so was written by hand, and counts nothing. */
const HOUR_END = ID_TIME_MS_MAX;
const COUNT_MAX = 1e14;

export function createStatRows(database: Database) {
  const upsertType = database.prepare(
    "INSERT INTO stat_types VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
  );
  const upsertEndpoint = database.prepare(
    `INSERT INTO stat_endpoints VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
       in_flight = iif(excluded.last_at >= last_at, excluded.in_flight, in_flight),
       in_flight_max = iif(excluded.last_at >= last_at, excluded.in_flight_max, in_flight_max),
       breaker = iif(excluded.last_at >= last_at, excluded.breaker, breaker),
       delivered = delivered + excluded.delivered, retried = retried + excluded.retried, dead = dead + excluded.dead,
       duration_ms = duration_ms + excluded.duration_ms, last_at = max(last_at, excluded.last_at)`,
  );
  const readTypes = database.prepare<{ type: string; count: number }>(
    `SELECT type, sum(count) AS count FROM stat_types WHERE tenant = ? AND hour > ? AND hour < ? AND count BETWEEN 0 AND ${COUNT_MAX}
     GROUP BY type ORDER BY type = '${OTHER}', count DESC, type`,
  );
  const readEndpoint = database.prepare<
    Record<"delivered" | "retried" | "dead" | "duration_ms" | "last_at", number | null>
  >(
    `SELECT sum(delivered) AS delivered, sum(retried) AS retried, sum(dead) AS dead, sum(duration_ms) AS duration_ms,
       max(last_at) AS last_at
     FROM stat_endpoints WHERE tenant = ? AND endpoint_id = ? AND hour > ? AND hour < ?
       AND delivered BETWEEN 0 AND ${COUNT_MAX} AND retried BETWEEN 0 AND ${COUNT_MAX} AND dead BETWEEN 0 AND ${COUNT_MAX}
       AND duration_ms BETWEEN 0 AND ${COUNT_MAX} AND last_at BETWEEN 0 AND ${ID_TIME_MS_MAX}`,
  );
  const readSeen = database.prepare<Record<"in_flight" | "in_flight_max" | "breaker", number | null>>(
    `SELECT in_flight, in_flight_max, breaker FROM stat_endpoints WHERE tenant = ? AND endpoint_id = ? AND hour > ? AND hour < ?
     ORDER BY hour DESC LIMIT 1`,
  );
  const upsertMinute = database.prepare(
    "INSERT INTO stat_minutes VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
  );
  const readMinutes = database.prepare<{ minute: number; field: string; count: number }>(
    `SELECT minute, field, count FROM stat_minutes WHERE minute > ? AND minute < ? AND count BETWEEN 0 AND ${COUNT_MAX}
     LIMIT ${FLOW_MINUTES_MAX * FLOW_FIELDS.size}`,
  );
  return {
    addMinute({ minute, counts }: MinuteCounts): void {
      for (const [field, count] of counts) upsertMinute.run(minute, field, count);
    },
    flow(nowMs: number): readonly LaneMinute[] {
      const sinceMs = nowMs - FLOW_KEPT_MS - MINUTE_MS;
      const rows = readMinutes.all(sinceMs, sinceMs + FLOW_MINUTES_MAX * MINUTE_MS);
      const known = rows.filter(({ minute, field }) => minute % MINUTE_MS === 0 && FLOW_FIELDS.has(field));
      return laneMinutes(known.map(({ minute, field, count }) => ({ minute, counts: [[field, count]] })));
    },
    addType(count: TypeCount): void {
      upsertType.run(count.tenant, count.hour, count.type, count.count);
    },
    addEndpoint(count: EndpointCount): void {
      const { tenant, endpointId, hour, delivered, retried, dead, durationMs, lastAtMs, seen } = count;
      const known =
        seen === null ? [null, null, null] : [seen.inFlight, seen.inFlightMax, BREAKER_STATES.indexOf(seen.breaker)];
      upsertEndpoint.run(tenant, endpointId, hour, delivered, retried, dead, durationMs, lastAtMs, ...known);
    },
    tenant(tenant: string, afterHour: number): TenantStats {
      const rows = readTypes.all(tenant, afterHour, HOUR_END);
      const named = rows.filter(({ type }) => type !== OTHER).slice(0, STAT_TYPES_MAX);
      const byType: Record<string, number> = Object.fromEntries(named.map(({ type, count }) => [type, count]));
      const totalEvents = rows.reduce((sum, { count }) => sum + count, 0);
      const rest = totalEvents - named.reduce((sum, { count }) => sum + count, 0);
      if (rest > 0) byType[OTHER] = rest;
      return { totalEvents, byType };
    },
    endpoint(tenant: string, endpointId: string, afterHour: number): EndpointStats {
      const row = readEndpoint.get(tenant, endpointId, afterHour, HOUR_END);
      assert(row !== undefined, "a sum has a row");
      const [delivered, retried, dead] = [row.delivered ?? 0, row.retried ?? 0, row.dead ?? 0];
      const attempts = delivered + retried + dead;
      return {
        attempts,
        delivered,
        retried,
        dead,
        durationMsMean: attempts === 0 ? null : (row.duration_ms ?? 0) / attempts,
        lastAttemptAtMs: row.last_at,
        seen: seenIn(readSeen.get(tenant, endpointId, afterHour, HOUR_END)),
      };
    },
  };
}

/** Null where no attempt told, or the row was edited into what no attempt tells. */
function seenIn(
  row: Record<"in_flight" | "in_flight_max" | "breaker", number | null> | undefined,
): EndpointSeen | null {
  const breaker = BREAKER_STATES[row?.breaker ?? -1];
  const [inFlight, inFlightMax] = [row?.in_flight ?? -1, row?.in_flight_max ?? -1];
  const isCount = [inFlight, inFlightMax].every((count) => count >= 0 && count <= COUNT_MAX);
  return breaker === undefined || !isCount ? null : { inFlight, inFlightMax, breaker };
}
