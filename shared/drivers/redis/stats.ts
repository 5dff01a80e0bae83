/**
 * Real-time stats in Redis: hashes of one hour each (`total_events`, `event_type:<type>`; outcomes for endpoints), found
 * by a timeline. Counts are added up in memory and written a few times a second; `add` never waits, and what Redis does
 * not take is lost and counted.
 *
 * A subject (a tenant, or an endpoint of one) has a timeline, a sorted set of the hours in which something was counted,
 * and for each hour a hash `<timeline>:<hour>`. Both live 24 h past their last count and two hours more; what counts is
 * the hour itself. A timeline holds at most the hours of a day and two.
 */
import type { Cancel, Clock } from "../../lib/ambient.ts";
import { ID_TIME_MS_MAX } from "../../domain/id.ts";
import { assert } from "../../lib/assert.ts";
import type { EndpointStats, Stats, TenantStats } from "../../ports/stats.ts";
import type { KeySpace } from "./client/key-space.ts";
import type { RedisCommands, RedisReply } from "./client/redis-commands.ts";
import type { StatBucket } from "./stats-counts.ts";
import { createStatCounts } from "./stats-counts.ts";
import { STATS_KEPT_MS, STAT_TYPES_MAX } from "../../ports/stats.ts";
import { luaScript } from "./client/lua-script.ts";
import type { RedisScript } from "./client/redis-commands.ts";

const HOUR_MS = 3600 * 1000;
const HOURS_MAX = STATS_KEPT_MS / HOUR_MS + 2;
const EXPIRY_MS = STATS_KEPT_MS + 2 * HOUR_MS;
/** An hour counts until its last minute is 24 h old. */
const COUNTED_MS = STATS_KEPT_MS + HOUR_MS;

/** Event types past the bound are counted under it. */
const OTHER_TYPE = "other";

export const ADD_COUNTS: RedisScript = luaScript({
  name: "add-counts",
  returns: "text",
  files: ["add-counts"],
  constants: { EXPIRY_MS, HOUR_MS, HOURS_MAX, OTHER_TYPE, STAT_TYPES_MAX },
});

export const READ_COUNTS: RedisScript = luaScript({
  name: "read-counts",
  returns: "text",
  files: ["read-counts"],
  constants: { COUNTED_MS, HOURS_MAX },
});

export const STATS_WRITE_MS = 250;
/** Counters in memory; at half of them they are written at once, past all of them counts are lost. */
export const STATS_PENDING_MAX = 10_000;
/** Buckets of one script: a few tenths of a millisecond of Redis's time. */
const WRITE_BUCKETS_MAX = 50;

export interface RedisStats extends Stats {
  /** Resolves when all that was added before was written, or lost; never rejects. */
  flush(): Promise<void>;
  /** Writes nothing more by itself. */
  stop(): void;
  /** Counts that were lost since the start. */
  lostCount(): number;
}

export interface RedisStatsOptions {
  readonly commands: Pick<RedisCommands, "run">;
  readonly keys: KeySpace;
  readonly clock: Pick<Clock, "timer">;
}

export function createRedisStats(options: RedisStatsOptions): RedisStats {
  const { commands, keys } = options;
  const writer = createStatsWriter(options);

  async function read(timeline: string): Promise<Map<string, number>[]> {
    await writer.flush();
    const reply = await commands.run(READ_COUNTS, [timeline], []);
    assert(Array.isArray(reply), "counts are a list of hours");
    return (reply as readonly RedisReply[]).map(toFields);
  }

  return {
    ...writer,
    tenant: async (tenant) => toTenantStats(await read(timelineOf(keys, tenant, null))),
    endpoint: async (tenant, endpointId) => toEndpointStats(await read(timelineOf(keys, tenant, endpointId))),
  };
}

function timelineOf(keys: KeySpace, tenant: string, endpointId: string | null): string {
  const name = endpointId === null ? `stats:tenant:${tenant}` : `stats:endpoint:${tenant}:${endpointId}`;
  return keys.key(keys.shardOf(tenant), name);
}

/** Collects counts and writes them after `STATS_WRITE_MS`, sooner when many wait. */
function createStatsWriter({ commands, keys, clock }: RedisStatsOptions): Omit<RedisStats, "tenant" | "endpoint"> {
  const pending = createStatCounts(STATS_PENDING_MAX);
  let timer: Cancel | null = null;
  let writing: Promise<void> | null = null;
  let isStopped = false;
  let lost = 0;

  function begin(): void {
    timer?.();
    timer = null;
    // What is counted meanwhile goes out after it.
    writing ??= writeAll().finally(() => {
      writing = null;
      if (pending.size() > 0) arm();
    });
  }

  function arm(): void {
    if (!isStopped) timer ??= clock.timer(STATS_WRITE_MS, begin);
  }

  async function writeAll(): Promise<void> {
    const bucketsByShard = Map.groupBy(pending.takeAll(), ({ tenant }) => keys.shardOf(tenant));
    for (const buckets of bucketsByShard.values()) {
      for (let from = 0; from < buckets.length; from += WRITE_BUCKETS_MAX) {
        await write(buckets.slice(from, from + WRITE_BUCKETS_MAX));
      }
    }
  }

  /** Once: a write that failed may have been counted, and twice is worse than not at all. */
  async function write(buckets: readonly StatBucket[]): Promise<void> {
    const timelines = buckets.map((bucket) =>
      timelineOf(keys, bucket.tenant, bucket.kind === "types" ? null : bucket.endpointId),
    );
    try {
      await commands.run(ADD_COUNTS, timelines, buckets.map(toJson));
    } catch {
      lost += buckets.reduce((sum, bucket) => sum + countOf(bucket), 0);
    }
  }

  return {
    add(entries) {
      for (const entry of entries) {
        if (!pending.add(entry)) lost++;
      }
      if (pending.size() >= STATS_PENDING_MAX / 2) begin();
      else if (entries.length > 0) arm();
    },
    async flush() {
      await writing;
      if (pending.size() === 0) return;
      begin();
      await writing;
    },
    stop() {
      isStopped = true;
      timer?.();
      timer = null;
    },
    lostCount: () => lost,
  };
}

function toJson(bucket: StatBucket): string {
  if (bucket.kind === "types") return JSON.stringify([bucket.hour, bucket.total, [...bucket.countByType]]);
  const { hour, delivered, retried, dead, durationMs, lastAtMs } = bucket;
  return JSON.stringify([hour, delivered, retried, dead, Math.round(durationMs * 1000), lastAtMs]);
}

function countOf(bucket: StatBucket): number {
  return bucket.kind === "types" ? bucket.total : bucket.delivered + bucket.retried + bucket.dead;
}

/** A field that holds no count of ours counts nothing. */
function toFields(reply: RedisReply): Map<string, number> {
  const flat = reply as readonly RedisReply[];
  const fields = new Map<string, number>();
  for (let index = 0; index + 1 < flat.length; index += 2) {
    const text = flat[index + 1];
    if (typeof text === "string" && COUNT.test(text)) fields.set(String(flat[index]), Number(text));
  }
  return fields;
}

/** Or a time in ms. 14 digits of each hour of a day add up to a whole number still. */
const COUNT = /^\d{1,14}$/;

function sumOf(hours: readonly Map<string, number>[], field: string): number {
  return hours.reduce((sum, hour) => sum + (hour.get(field) ?? 0), 0);
}

const TYPE_FIELD = "event_type:";

function toTenantStats(hours: readonly Map<string, number>[]): TenantStats {
  const countByType = new Map<string, number>();
  for (const [field, count] of hours.flatMap((hour) => [...hour])) {
    if (!field.startsWith(TYPE_FIELD)) continue;
    const type = field.slice(TYPE_FIELD.length);
    countByType.set(type, (countByType.get(type) ?? 0) + count);
  }
  countByType.delete(OTHER_TYPE);
  const named = [...countByType]
    .toSorted(([left, leftCount], [right, rightCount]) => rightCount - leftCount || (left < right ? -1 : 1))
    .slice(0, STAT_TYPES_MAX);
  const byType: Record<string, number> = Object.fromEntries(named);
  const totalEvents = sumOf(hours, "total_events");
  const rest = totalEvents - named.reduce((sum, [, count]) => sum + count, 0);
  if (rest > 0) byType[OTHER_TYPE] = rest;
  return { totalEvents, byType };
}

function toEndpointStats(hours: readonly Map<string, number>[]): EndpointStats {
  const [delivered, retried, dead] = [sumOf(hours, "delivered"), sumOf(hours, "retried"), sumOf(hours, "dead")];
  const attempts = delivered + retried + dead;
  return {
    attempts,
    delivered,
    retried,
    dead,
    durationMsMean: attempts === 0 ? null : sumOf(hours, "duration_us") / 1000 / attempts,
    lastAttemptAtMs: attempts === 0 ? null : lastOf(hours),
  };
}

/** Null where no hour has a time of ours. */
function lastOf(hours: readonly Map<string, number>[]): number | null {
  const times = hours.flatMap((hour) => hour.get("last_at") ?? []).filter((atMs) => atMs > 0 && atMs <= ID_TIME_MS_MAX);
  return times.length === 0 ? null : Math.max(...times);
}
