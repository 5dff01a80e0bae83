/**
 * Counts of the last 24 h in hourly buckets, and of the lanes by the minute. Added up in memory and written a few times a second, so that twenty
 * thousand events cost a handful of statements. A bucket counts until its last minute is 24 h old.
 */
import { PendingMinutes } from "../../domain/lane-minutes.ts";
import type { Cancel, Clock } from "../../lib/ambient.ts";
import { unreachable } from "../../lib/assert.ts";
import type { StatEntry, Stats } from "../../ports/stats.ts";
import { countMinute, STATS_KEPT_MS, STAT_TYPES_MAX } from "../../ports/stats.ts";
import type { Database } from "./database.ts";
import type { GroupCommit } from "./group-commit.ts";
import type { EndpointCount, TypeCount } from "./stat-rows.ts";
import { createStatRows, OTHER } from "./stat-rows.ts";

export const STATS_WRITE_MS = 250;
/** Distinct counters in memory; at this many they are written at once. */
export const STATS_PENDING_MAX = 5000;
/** Tenants of one hour whose types are counted apart; for further tenants all types count as `other`. */
const STAT_TENANTS_MAX = 10_000;
const HOUR_MS = 3600 * 1000;

export function createStats(options: {
  readonly database: Database;
  readonly writer: GroupCommit;
  readonly clock: Clock;
}): Stats & { write(): void; stop(): void; lostCount(): number } {
  const { database, writer, clock } = options;
  const store = createStatRows(database);
  const pending = createCounts(createTypeNames(database));
  const minutes = new PendingMinutes();
  let timer: Cancel | null = null;
  let lost = 0;

  /** Never throws: whoever counts has done something that stands, whatever can be read now. */
  function addOne(entry: StatEntry): void {
    countMinute(minutes, entry);
    try {
      pending.add(entry);
    } catch {
      lost++;
    }
  }

  function write(): void {
    timer?.();
    timer = null;
    if (pending.size() === 0 && minutes.isEmpty) return;
    const { types, endpoints } = pending.takeAll();
    const flow = minutes.takeAll();
    writer.post(() => {
      types.forEach((count) => store.addType(count));
      endpoints.forEach((count) => store.addEndpoint(count));
      flow.forEach((counts) => store.addMinute(counts));
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
    async flow() {
      write();
      await writer.flush();
      return store.flow(clock.now());
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
        const fresh = {
          tenant,
          endpointId,
          hour,
          delivered: 0,
          retried: 0,
          dead: 0,
          durationMs: 0,
          lastAtMs: 0,
          seen: null,
        };
        const count: EndpointCount = endpoints.get(key) ?? fresh;
        if (count === fresh) endpoints.set(key, count);
        count[columnByOutcome[entry.outcome]]++;
        count.durationMs += entry.durationMs;
        if (entry.atMs >= count.lastAtMs) count.seen = entry.seen;
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
