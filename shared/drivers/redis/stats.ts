/**
 * Real-time stats in Redis: hashes of one hour each (`total_events`, `event_type:<type>`; outcomes for endpoints), found
 * by a timeline. Counts are added up in memory and written a few times a second (`stats-writer.ts`); `add` never waits.
 *
 * A subject (a tenant, or an endpoint of one) has a timeline, a sorted set of the hours in which something was counted,
 * and for each hour a hash `<timeline>:<hour>`. Both live 24 h past their last count and two hours more; what counts is
 * the hour itself. A timeline holds at most the hours of a day and two. The lanes have one such timeline in each shard, of
 * minutes, for an hour.
 */
import { ID_TIME_MS_MAX } from "../../domain/id.ts";
import type { LaneMinute, MinuteCounts } from "../../domain/lane-minutes.ts";
import { FLOW_FIELDS, FLOW_KEPT_MS, FLOW_MINUTES_MAX, laneMinutes, MINUTE_MS } from "../../domain/lane-minutes.ts";
import { assert } from "../../lib/assert.ts";
import type { EndpointSeen, EndpointStats, Stats, TenantStats } from "../../ports/stats.ts";
import type { RedisReply } from "./client/redis-commands.ts";
import type { StatsWriter, StatsWriterOptions } from "./stats-writer.ts";
import { HOURS_MAX, OTHER_TYPE, createStatsWriter, flowTimelineOf, timelineOf } from "./stats-writer.ts";
import { BREAKER_STATES, STATS_KEPT_MS, STAT_TYPES_MAX } from "../../ports/stats.ts";
import { luaScript } from "./client/lua-script.ts";
import type { RedisScript } from "./client/redis-commands.ts";

const HOUR_MS = 3600 * 1000;
/** An hour counts until its last minute is 24 h old. */
const COUNTED_MS = STATS_KEPT_MS + HOUR_MS;

export const READ_COUNTS: RedisScript = luaScript({
  name: "read-counts",
  returns: "text",
  files: ["read-counts"],
});

export interface RedisStats extends Stats, StatsWriter {}

export function createRedisStats(options: StatsWriterOptions): RedisStats {
  const { commands, keys } = options;
  const writer = createStatsWriter(options);

  async function readTimes(timeline: string, countedMs: number, countMax: number): Promise<readonly Time[]> {
    const reply = await commands.run(READ_COUNTS, [timeline], [countedMs, countMax]);
    assert(Array.isArray(reply), "counts are a list of hours");
    return (reply as readonly RedisReply[]).map(toTime);
  }

  async function read(timeline: string): Promise<readonly Map<string, number>[]> {
    await writer.flush();
    return (await readTimes(timeline, COUNTED_MS, HOURS_MAX)).map(({ fields }) => fields);
  }

  /** Each shard has the minutes of its tenants. */
  async function flow(): Promise<readonly LaneMinute[]> {
    await writer.flush();
    const shards = Array.from({ length: keys.shards }, (_, shard) => flowTimelineOf(keys, shard));
    const times = await Promise.all(shards.map((key) => readTimes(key, FLOW_KEPT_MS + MINUTE_MS, FLOW_MINUTES_MAX)));
    return laneMinutes(times.flat().flatMap(toMinute));
  }

  return {
    ...writer,
    tenant: async (tenant) => toTenantStats(await read(timelineOf(keys, tenant, null))),
    endpoint: async (tenant, endpointId) => toEndpointStats(await read(timelineOf(keys, tenant, endpointId))),
    flow,
  };
}

interface Time {
  /** As the timeline names it. */
  readonly name: string;
  readonly fields: Map<string, number>;
}

/** A field that holds no count of ours counts nothing. */
function toTime(reply: RedisReply): Time {
  const [name, ...flat] = reply as readonly RedisReply[];
  const fields = new Map<string, number>();
  for (let index = 0; index + 1 < flat.length; index += 2) {
    const text = flat[index + 1];
    if (typeof text === "string" && COUNT.test(text)) fields.set(String(flat[index]), Number(text));
  }
  return { name: String(name), fields };
}

/** None of a name that is no minute. */
function toMinute({ name, fields }: Time): readonly MinuteCounts[] {
  const minute = COUNT.test(name) ? Number(name) : -1;
  const isMinute = minute > 0 && minute <= ID_TIME_MS_MAX && minute % MINUTE_MS === 0;
  return isMinute ? [{ minute, counts: [...fields].filter(([field]) => FLOW_FIELDS.has(field)) }] : [];
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
    seen: seenIn(hours.findLast((hour) => hour.has("last_at"))),
  };
}

/** Null where the fields are not ours. */
function seenIn(hour: Map<string, number> | undefined): EndpointSeen | null {
  const [inFlight, inFlightMax] = [hour?.get("in_flight"), hour?.get("in_flight_max")];
  const breaker = BREAKER_STATES[hour?.get("breaker") ?? -1];
  if (inFlight === undefined || inFlightMax === undefined || breaker === undefined) return null;
  return { inFlight, inFlightMax, breaker };
}

/** Null where no hour has a time of ours. */
function lastOf(hours: readonly Map<string, number>[]): number | null {
  const times = hours.flatMap((hour) => hour.get("last_at") ?? []).filter((atMs) => atMs > 0 && atMs <= ID_TIME_MS_MAX);
  return times.length === 0 ? null : Math.max(...times);
}
