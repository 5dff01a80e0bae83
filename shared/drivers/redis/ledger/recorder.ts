/**
 * The way into the ledger that nobody waits for: entries are batched by shard, one script for a batch, in order. While
 * Redis is away they wait, bounded by count and bytes; what finds no place, or is given up, is lost and counted.
 *
 * An event is told to the ledger beside the append to its lane and not before it, so a quick consumer may record what
 * the ledger cannot place yet. Such entries are tried again after each wait of `LATE_MS`; by then the event is known or gone.
 */
import type { Cancel, Clock } from "../../../lib/ambient.ts";
import { assert } from "../../../lib/assert.ts";
import type { Batcher, BatchResult } from "../../../lib/batcher.ts";
import { createBatcher } from "../../../lib/batcher.ts";
import type { LedgerEntry } from "../../../ports/ledger.ts";
import type { KeySpace } from "../client/key-space.ts";
import { BATCH_BYTES_MAX, BATCH_ITEMS_MAX, ITEM_BYTES } from "./bounds.ts";
import type { LedgerBounds } from "./bounds.ts";
import { createRetryBudget, inTime } from "./read-budget.ts";
import { entryArguments, tenantOf } from "./record.ts";
import { RECORD } from "./write-scripts.ts";
import type { RedisArgument, RedisCommands, RedisReply } from "../client/redis-commands.ts";

export interface LedgerRecorder {
  /** Never waits and never throws. Entries of one call and shard become visible together. */
  record(entries: readonly LedgerEntry[]): void;
  /** Resolves when what was recorded before is visible, lost or late; rejects with `store-unavailable` after 2 s. */
  written(): Promise<void>;
  /** As `written`, and what found no event was tried again after each wait that fits into the 2 s. */
  placed(): Promise<void>;
  /** Resolves when nothing waits any more; what Redis does not take within `FLUSH_MS_MAX` is lost and counted. */
  flush(): Promise<void>;
}

export interface RecorderOptions {
  readonly commands: Pick<RedisCommands, "run">;
  readonly clock: Pick<Clock, "monotonic" | "soon" | "sleep" | "timer">;
  readonly bounds: LedgerBounds;
  readonly rootOf: (shard: number) => string;
  readonly shardOf: KeySpace["shardOf"];
  readonly onLost: (count: number) => void;
}

/**
 * Until the next tries of an entry whose event was not known. A publisher waits four seconds at most for its part, which
 * Redis may carry out a moment after it was given up.
 */
const LATE_MS = [100, 1000, 5000] as const;
/** Late entries that acks wait for. Where there are more, as of a tenant whose events the ledger had no room for, none do. */
const LATE_AWAITED_MAX = 200;
/** A flush is an end: the process does not wait a minute for a Redis that is away. */
const FLUSH_MS_MAX = 5000;

interface Entry {
  readonly args: readonly RedisArgument[];
  readonly bytes: number;
  /** Tries that found no event. */
  readonly unmet: number;
}

type Group = readonly [shard: number, entries: readonly Entry[]];

export function createLedgerRecorder(options: RecorderOptions): LedgerRecorder {
  const { clock, bounds, shardOf, onLost } = options;
  /** At most one for each shard. */
  const batchers = new Map<number, Batcher<readonly Entry[], void>>();
  const room = createRoom(bounds);
  const late = createLateGroups(clock, put);
  let underWay = 0;
  let lastWritten = Promise.resolve();
  let flushEndsAtMs = Infinity;

  function batcherOf(shard: number): Batcher<readonly Entry[], void> {
    const known =
      batchers.get(shard) ??
      createShardBatcher(options, shard, {
        endsAtMs: () => flushEndsAtMs,
        onUnmet(entries) {
          if (room.take(entries)) late.add([shard, entries]);
          else onLost(entries.length);
        },
      });
    batchers.set(shard, known);
    return known;
  }

  async function write(shard: number, entries: readonly Entry[]): Promise<void> {
    underWay += 1;
    try {
      await batcherOf(shard).add(entries, bytesOf(entries) + entries.length * ITEM_BYTES);
    } catch {
      onLost(entries.length);
    } finally {
      underWay -= 1;
      room.give(entries);
    }
  }

  function put(groups: readonly Group[]): void {
    const writes = groups.map(([shard, entries]) => write(shard, entries));
    // Shards are not written in order: the chain covers what any of them has. It ends without a value: that of `Promise.all`
    // would hold the one before it, and so on back to the first of the process.
    lastWritten = Promise.all([lastWritten, ...writes]).then(() => undefined);
  }

  return {
    record(given) {
      if (given.length === 0) return;
      // Asked before anything is made of the entries: without room this costs next to nothing.
      if (!room.hasPlaces(given.length)) return onLost(given.length);
      const groups = Map.groupBy(given, (entry) => shardOf(tenantOf(entry)));
      const made = [...groups].map(([shard, ofShard]): Group => [shard, ofShard.map(toEntry)]);
      if (room.take(made.flatMap(([, entries]) => entries))) put(made);
      else onLost(given.length);
    },
    async written() {
      if (underWay > 0) await inTime(clock, lastWritten);
    },
    async placed() {
      const tryAll = async (): Promise<void> => {
        await lastWritten;
        for (const index of LATE_MS.keys()) {
          await late.tried(index);
          await lastWritten;
        }
      };
      const isFew = late.count() <= LATE_AWAITED_MAX;
      if (underWay > 0 || late.count() > 0) await inTime(clock, isFew ? tryAll() : lastWritten);
    },
    async flush() {
      flushEndsAtMs = clock.monotonic() + FLUSH_MS_MAX;
      await lastWritten;
      for (const _ of LATE_MS) {
        late.putNow();
        await lastWritten;
      }
      flushEndsAtMs = Infinity;
    },
  };
}

/** How much waits, and how much may. */
function createRoom({ entriesWaitingMax, bytesWaitingMax }: LedgerBounds) {
  let count = 0;
  let bytes = 0;
  const hasPlaces = (more: number): boolean => count + more <= entriesWaitingMax;
  return {
    hasPlaces,
    /** False when there is none for all of them. */
    take(entries: readonly Entry[]): boolean {
      const more = bytesOf(entries);
      if (!hasPlaces(entries.length) || bytes + more > bytesWaitingMax) return false;
      count += entries.length;
      bytes += more;
      return true;
    },
    give(entries: readonly Entry[]): void {
      count -= entries.length;
      bytes -= bytesOf(entries);
    },
  };
}

/** Entries that found no event, until their next try. The room bounds them. */
function createLateGroups(clock: Pick<Clock, "timer">, put: (groups: readonly Group[]) => void) {
  const waits = LATE_MS.map((ms) => ({ ms, groups: [] as Group[], timer: null as Cancel | null, over: resolvable() }));

  function putNow(wait: (typeof waits)[number]): void {
    wait.timer?.();
    wait.timer = null;
    put(wait.groups.splice(0));
    wait.over.resolve();
  }

  return {
    putNow: () => waits.forEach(putNow),
    count: () => waits.reduce((sum, { groups }) => groups.reduce((more, [, entries]) => more + entries.length, sum), 0),
    /** Resolves when those that now wait for the next try after their `index`th are tried. */
    async tried(index: number): Promise<void> {
      const wait = waits[index];
      if (wait !== undefined && wait.timer !== null) await wait.over.promise;
    },
    /** Each of them has tries left. */
    add([shard, entries]: Group): void {
      for (const [unmet, alike] of Map.groupBy(entries, (entry) => entry.unmet)) {
        const wait = waits[unmet];
        if (wait === undefined) continue;
        wait.groups.push([shard, alike.map((entry) => ({ ...entry, unmet: unmet + 1 }))]);
        if (wait.timer !== null) continue;
        wait.over = resolvable();
        wait.timer = clock.timer(wait.ms, () => putNow(wait));
      }
    },
  };
}

const resolvable = (): PromiseWithResolvers<void> => Promise.withResolvers<void>();

function createShardBatcher(
  options: RecorderOptions,
  shard: number,
  parent: { readonly endsAtMs: () => number; readonly onUnmet: (entries: readonly Entry[]) => void },
): Batcher<readonly Entry[], void> {
  const { commands, clock, bounds } = options;
  const budget = createRetryBudget({ clock, endsAtMs: parent.endsAtMs });
  const keys = [options.rootOf(shard)];
  const head = [
    bounds.bytesPerShardMax,
    bounds.deliveriesPerEventMax,
    bounds.deliveriesPerEndpointMax,
    bounds.attemptsPerEndpointMax,
  ];
  return createBatcher({
    clock,
    itemsMax: BATCH_ITEMS_MAX,
    bytesMax: BATCH_BYTES_MAX,
    waitingMax: bounds.entriesWaitingMax,
    overflow: () => new Error("more calls wait than entries may"),
    async flush(calls) {
      const entries = calls.flat();
      const args = [...head, ...entries.flatMap((entry) => entry.args)];
      const unmet = unmetOf(entries, await budget.tryAgain(() => commands.run(RECORD, keys, args)));
      if (unmet.length > 0) parent.onUnmet(unmet);
      return calls.map(() => DONE);
    },
  });
}

/** Those that found no event, and have tries left. */
function unmetOf(entries: readonly Entry[], reply: RedisReply): Entry[] {
  assert(Array.isArray(reply), "the script replies with the ordinals of entries");
  return (reply as readonly RedisReply[]).flatMap((ordinal) => {
    const entry = entries[Number(ordinal) - 1];
    assert(entry !== undefined, "an ordinal is that of an entry");
    return entry.unmet < LATE_MS.length ? [entry] : [];
  });
}

function toEntry(given: LedgerEntry): Entry {
  const args = entryArguments(given);
  return {
    args,
    bytes: args.reduce<number>((sum, arg) => sum + (typeof arg === "number" ? 8 : arg.length), 0),
    unmet: 0,
  };
}

function bytesOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, { bytes }) => sum + bytes, 0);
}

const DONE: BatchResult<void> = { kind: "done", value: undefined };
