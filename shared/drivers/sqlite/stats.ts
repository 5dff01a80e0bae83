/**
 * Counts of the last 24 h in hourly buckets. Added up in memory and written a few times a second, so that twenty
 * thousand events cost a handful of statements. A bucket counts until its last minute is 24 h old.
 */
import { ID_TIME_MS_MAX } from "../../domain/id.ts";
import type { Cancel, Clock } from "../../lib/ambient.ts";
import { assert, unreachable } from "../../lib/assert.ts";
import type { EndpointStats, StatEntry, Stats, TenantStats } from "../../ports/stats.ts";
import { STATS_KEPT_MS, STAT_TYPES_MAX } from "../../ports/stats.ts";
import type { Database } from "./database.ts";
import type { GroupCommit } from "./group-commit.ts";

export const STATS_WRITE_MS = 250;
/** Distinct counters in memory; at this many they are written at once. */
export const STATS_PENDING_MAX = 5000;
/** Tenants of one hour whose types are counted apart; for further tenants all types count as `other`. */
const STAT_TENANTS_MAX = 10_000;
const OTHER = "other";
const HOUR_MS = 3600 * 1000;

interface TypeCount {
  readonly tenant: string;
  readonly hour: number;
  readonly type: string;
  count: number;
}

interface EndpointCount {
  readonly tenant: string;
  readonly endpointId: string;
  readonly hour: number;
  delivered: number;
  retried: number;
  dead: number;
  durationMs: number;
  lastAtMs: number;
}

export function createStats(options: {
  readonly database: Database;
  readonly writer: GroupCommit;
  readonly clock: Clock;
}): Stats & { write(): void; stop(): void; lostCount(): number } {
  const { database, writer, clock } = options;
  const store = createStatRows(database);
  const pending = createCounts(createTypeNames(database));
  let timer: Cancel | null = null;
  let lost = 0;

  /** Never throws: whoever counts has done something that stands, whatever can be read now. */
  function addOne(entry: StatEntry): void {
    try {
      pending.add(entry);
    } catch {
      lost++;
    }
  }

  function write(): void {
    timer?.();
    timer = null;
    if (pending.size() === 0) return;
    const { types, endpoints } = pending.takeAll();
    writer.post(() => {
      types.forEach((count) => store.addType(count));
      endpoints.forEach((count) => store.addEndpoint(count));
    });
  }

  async function settled(): Promise<number> {
    write();
    await writer.flush();
    return clock.now() - STATS_KEPT_MS - HOUR_MS;
  }

  return {
    add(entries) {
      entries.forEach(addOne);
      if (pending.size() >= STATS_PENDING_MAX) write();
      else if (entries.length > 0) timer ??= clock.timer(STATS_WRITE_MS, write);
    },
    async tenant(tenant) {
      return store.tenant(tenant, await settled());
    },
    async endpoint(tenant, endpointId) {
      return store.endpoint(tenant, endpointId, await settled());
    },
    write,
    /** Counts that were lost since the start because the hour's types could not be read. */
    lostCount: () => lost,
    stop() {
      timer?.();
      timer = null;
    },
  };
}

/** What was not written yet, one entry for each row that it will change. */
function createCounts(typeNames: ReturnType<typeof createTypeNames>) {
  let types = new Map<string, TypeCount>();
  let endpoints = new Map<string, EndpointCount>();

  function add(entry: StatEntry): void {
    const hour = entry.atMs - (entry.atMs % HOUR_MS);
    switch (entry.kind) {
      case "accepted": {
        const type = typeNames.nameOf(entry.tenant, hour, entry.type);
        const key = `${entry.tenant} ${hour} ${type}`;
        const known = types.get(key);
        if (known === undefined) types.set(key, { tenant: entry.tenant, hour, type, count: 1 });
        else known.count++;
        return;
      }
      case "attempt": {
        const { tenant, endpointId } = entry;
        const key = `${tenant} ${hour} ${endpointId}`;
        const fresh = { tenant, endpointId, hour, delivered: 0, retried: 0, dead: 0, durationMs: 0, lastAtMs: 0 };
        const count = endpoints.get(key) ?? fresh;
        if (count === fresh) endpoints.set(key, count);
        count[columnByOutcome[entry.outcome]]++;
        count.durationMs += entry.durationMs;
        count.lastAtMs = Math.max(count.lastAtMs, entry.atMs);
        return;
      }
      default:
        return unreachable(entry);
    }
  }

  return {
    add,
    size: () => types.size + endpoints.size,
    takeAll() {
      const all = { types: [...types.values()], endpoints: [...endpoints.values()] };
      types = new Map();
      endpoints = new Map();
      return all;
    },
  };
}

const columnByOutcome = { delivered: "delivered", retry: "retried", dead: "dead" } as const;

/** The first `STAT_TYPES_MAX` types of a tenant and hour have their names; the rest are `other`. */
function createTypeNames(database: Database): { nameOf(tenant: string, hour: number, type: string): string } {
  const known = database.prepare<{ type: string }>(
    `SELECT type FROM stat_types WHERE tenant = ? AND hour = ? LIMIT ${STAT_TYPES_MAX + 1}`,
  );
  let current = -1;
  let namesByTenant = new Map<string, Set<string>>();

  /** Read when the tenant is first counted in the hour, so that a start or a new hour reads nothing for all of them. */
  function namesOf(tenant: string, hour: number): Set<string> | null {
    const names = namesByTenant.get(tenant);
    if (names !== undefined) return names;
    if (namesByTenant.size >= STAT_TENANTS_MAX) return null;
    // Before it is kept: when the read throws, the next count tries again.
    const found = new Set(known.all(tenant, hour).map(({ type }) => type));
    namesByTenant.set(tenant, found);
    return found;
  }

  return {
    nameOf(tenant, hour, type) {
      if (hour > current) {
        current = hour;
        namesByTenant = new Map();
      }
      const names = namesOf(tenant, hour);
      if (names === null) return OTHER;
      if (names.has(type)) return type;
      if (names.size >= STAT_TYPES_MAX) return OTHER;
      names.add(type);
      return type;
    },
  };
}

/** No clock shows such an hour, and no hour counts so much: a row that says so was written by hand, and counts nothing. */
const HOUR_END = ID_TIME_MS_MAX;
const COUNT_MAX = 1e14;

function createStatRows(database: Database) {
  const upsertType = database.prepare(
    "INSERT INTO stat_types VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
  );
  const upsertEndpoint = database.prepare(
    `INSERT INTO stat_endpoints VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
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
  return {
    addType(count: TypeCount): void {
      upsertType.run(count.tenant, count.hour, count.type, count.count);
    },
    addEndpoint(count: EndpointCount): void {
      const { delivered, retried, dead, durationMs, lastAtMs } = count;
      upsertEndpoint.run(count.tenant, count.endpointId, count.hour, delivered, retried, dead, durationMs, lastAtMs);
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
      };
    },
  };
}
