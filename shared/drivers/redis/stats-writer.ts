/**
 * Counts on their way into Redis: added up in memory and written after `STATS_WRITE_MS`, sooner when many wait. While Redis
 * is away they go on adding up. A write without an answer is made again, and counts once: each writer has a key that says
 * which of its writes was the last. What dies with the process, or finds no place, is missing.
 */
import { encodeHex } from "../../domain/hex.ts";
import type { MinuteCounts } from "../../domain/lane-minutes.ts";
import { FLOW_KEPT_MS, FLOW_MINUTES_MAX, PendingMinutes } from "../../domain/lane-minutes.ts";
import { PosthasteError } from "../../domain/errors.ts";
import type { Cancel, Clock, Entropy } from "../../lib/ambient.ts";
import type { Stats } from "../../ports/stats.ts";
import { BREAKER_STATES, countMinute, STATS_KEPT_MS, STAT_TYPES_MAX } from "../../ports/stats.ts";
import type { KeySpace } from "./client/key-space.ts";
import { luaScript } from "./client/lua-script.ts";
import type { RedisCommands, RedisScript } from "./client/redis-commands.ts";
import type { StatBucket } from "./stats-counts.ts";
import { createStatCounts } from "./stats-counts.ts";

const HOUR_MS = 3600 * 1000;
export const HOURS_MAX = STATS_KEPT_MS / HOUR_MS + 2;
const EXPIRY_MS = STATS_KEPT_MS + 2 * HOUR_MS;
const FLOW_EXPIRY_MS = FLOW_KEPT_MS + HOUR_MS;

/** Event types past the bound are counted under it. */
export const OTHER_TYPE = "other";

export const ADD_COUNTS: RedisScript = luaScript({
  name: "add-counts",
  returns: "text",
  files: ["add-counts"],
  constants: { EXPIRY_MS, FLOW_EXPIRY_MS, FLOW_MINUTES_MAX, HOUR_MS, HOURS_MAX, OTHER_TYPE, STAT_TYPES_MAX },
});

export const STATS_WRITE_MS = 250;
/**
 * Counters in memory; at half of them they are written at once, past all of them counts are lost. As many again may lie in a
 * write that Redis did not take yet.
 */
export const STATS_PENDING_MAX = 10_000;
/** Buckets of one script: a few tenths of a millisecond of Redis's time. */
const WRITE_BUCKETS_MAX = 50;

export interface StatsWriter extends Pick<Stats, "add"> {
  /** Resolves when all that was added before was written, lost, or refused by a Redis that is away; never rejects. */
  flush(): Promise<void>;
  /** Writes nothing more by itself. */
  stop(): void;
  /** Counts that were lost since the start. */
  lostCount(): number;
}

export interface StatsWriterOptions {
  readonly commands: Pick<RedisCommands, "run">;
  readonly keys: KeySpace;
  readonly clock: Pick<Clock, "timer">;
  /** Tells the writers of this process from all others. */
  readonly entropy: Pick<Entropy, "bytes">;
  /**
   * `flush`: nothing is written before it, and each write is made once, for there is nobody later who could make it again.
   * `by-time`, the default, as above.
   */
  readonly writes?: "by-time" | "flush";
}

interface Write {
  /** From 1, rising. */
  readonly number: number;
  readonly shard: number;
  readonly buckets: readonly Bucket[];
}

type Bucket = StatBucket | ({ readonly kind: "minute" } & MinuteCounts);

export function timelineOf(keys: KeySpace, tenant: string, endpointId: string | null): string {
  const name = endpointId === null ? `stats:tenant:${tenant}` : `stats:endpoint:${tenant}:${endpointId}`;
  return keys.key(keys.shardOf(tenant), name);
}

/** Minutes of the lanes, of the tenants of one shard: written with what is counted for these, so that they cost no call. */
export function flowTimelineOf(keys: KeySpace, shard: number): string {
  return keys.key(shard, "stats:flow");
}

export function createStatsWriter(options: StatsWriterOptions): StatsWriter {
  const { commands, keys, clock } = options;
  const isOnce = options.writes === "flush";
  const writerId = encodeHex(options.entropy.bytes(8));
  const pending = createStatCounts(STATS_PENDING_MAX);
  const minutesByShard = new Map<number, PendingMinutes>();
  let inHand: Write[] = [];
  let writes = 0;
  let timer: Cancel | null = null;
  let writing: Promise<void> | null = null;
  let isStopped = isOnce;
  let lost = 0;

  function begin(): void {
    timer?.();
    timer = null;
    // What is counted meanwhile goes out after it.
    writing ??= writeAll().finally(() => {
      writing = null;
      if (isWaiting()) arm();
    });
  }

  function isWaiting(): boolean {
    return pending.size() + minutesByShard.size + inHand.length > 0;
  }

  function arm(): void {
    if (!isStopped) timer ??= clock.timer(STATS_WRITE_MS, begin);
  }

  function takePending(): Write[] {
    const byShard = new Map<number, readonly Bucket[]>(
      Map.groupBy(pending.takeAll(), ({ tenant }) => keys.shardOf(tenant)),
    );
    for (const [shard, minutes] of minutesByShard) {
      const counted = minutes.takeAll().map((each) => ({ kind: "minute", ...each }) as const);
      byShard.set(shard, [...counted, ...(byShard.get(shard) ?? [])]);
    }
    minutesByShard.clear();
    return [...byShard].flatMap(([shard, buckets]) =>
      Array.from({ length: Math.ceil(buckets.length / WRITE_BUCKETS_MAX) }, (_, index) => {
        const from = index * WRITE_BUCKETS_MAX;
        return { number: ++writes, shard, buckets: buckets.slice(from, from + WRITE_BUCKETS_MAX) };
      }),
    );
  }

  /** As far as Redis takes it. */
  async function writeAll(): Promise<void> {
    for (;;) {
      if (inHand.length === 0) inHand = takePending();
      const [next] = inHand;
      if (next === undefined || !(await isDone(next))) return;
      inHand.shift();
    }
  }

  /** False when it is to be made again. */
  async function isDone({ number, shard, buckets }: Write): Promise<boolean> {
    const timelines = buckets.map((bucket) => placeOf(bucket, shard));
    try {
      const names = [keys.key(shard, `stats:writer:${writerId}`), ...timelines];
      await commands.run(ADD_COUNTS, names, [isOnce ? "" : number, ...buckets.map(toJson)]);
    } catch (error) {
      if (!isOnce && error instanceof PosthasteError && error.retriable) return false;
      lost += buckets.reduce((sum, bucket) => sum + countOf(bucket), 0);
    }
    return true;
  }

  function placeOf(bucket: Bucket, shard: number): string {
    if (bucket.kind === "minute") return flowTimelineOf(keys, shard);
    return timelineOf(keys, bucket.tenant, bucket.kind === "types" ? null : bucket.endpointId);
  }

  function minutesOf(tenant: string): PendingMinutes {
    const shard = keys.shardOf(tenant);
    const minutes = minutesByShard.get(shard) ?? new PendingMinutes();
    minutesByShard.set(shard, minutes);
    return minutes;
  }

  return {
    add(entries) {
      for (const entry of entries) {
        if (!pending.add(entry)) lost++;
        countMinute(minutesOf(entry.tenant), entry);
      }
      // One that failed has its wait.
      if (pending.size() >= STATS_PENDING_MAX / 2 && inHand.length === 0) begin();
      else if (entries.length > 0) arm();
    },
    async flush() {
      await writing;
      if (!isWaiting()) return;
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

function toJson(bucket: Bucket): string {
  if (bucket.kind === "minute") return JSON.stringify([bucket.minute, bucket.counts]);
  if (bucket.kind === "types") return JSON.stringify([bucket.hour, bucket.total, [...bucket.countByType]]);
  const { hour, delivered, retried, dead, durationMs, lastAtMs, seen } = bucket;
  const known = seen === null ? [] : [seen.inFlight, seen.inFlightMax, BREAKER_STATES.indexOf(seen.breaker)];
  return JSON.stringify([hour, delivered, retried, dead, Math.round(durationMs * 1000), lastAtMs, ...known]);
}

/** What minutes hold is counted elsewhere, too. */
function countOf(bucket: Bucket): number {
  if (bucket.kind === "minute") return 0;
  return bucket.kind === "types" ? bucket.total : bucket.delivered + bucket.retried + bucket.dead;
}
