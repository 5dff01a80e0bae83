/**
 * The way into the ledger that nobody waits for: entries are batched by shard, one script for a batch, in order. While
 * Redis is away they wait a moment, bounded by count and bytes, and are spilled then; what finds no place, or no store, is
 * lost and counted.
 *
 * An event is told to the ledger beside the append to its lane and not before it, so a quick consumer may record what
 * the ledger cannot place yet. Such entries are tried again after each wait of `LATE_MS`, the first time with the event that they bring (`placing.ts`).
 */
import type { Clock } from "../../../lib/ambient.ts";
import type { Batcher, BatchResult } from "../../../lib/batcher.ts";
import { createBatcher } from "../../../lib/batcher.ts";
import type { LedgerEntry } from "../../../ports/ledger.ts";
import type { KeySpace } from "../client/key-space.ts";
import { BATCH_BYTES_MAX, BATCH_ITEMS_MAX, ITEM_BYTES } from "./bounds.ts";
import { LATE_MS, createLateGroups } from "./late-groups.ts";
import type { PendingEntry, PendingGroup } from "./pending-entries.ts";
import { argumentBytesOf, createRoom, toPendingEntry } from "./pending-entries.ts";
import type { Placing, PlacingOptions } from "./placing.ts";
import { createPlacing } from "./placing.ts";
import { inTime } from "./read-budget.ts";
import { tenantOf } from "./record.ts";
import type { Spill } from "./spilled-entry.ts";
import { packEntry } from "./spilled-entry.ts";
import { createWayIn } from "./way-in.ts";

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

export interface RecorderOptions extends PlacingOptions {
  readonly clock: Pick<Clock, "monotonic" | "soon" | "sleep" | "timer">;
  readonly shardOf: KeySpace["shardOf"];
  /** Keeps durably what Redis does not take in time, for `takeBack`; rejects when it cannot. Null: nothing does. */
  readonly spill: Spill | null;
  readonly onLost: (count: number) => void;
}

/** Late entries that acks wait for. Where there are more, as of a tenant whose events the ledger had no room for, none do. */
const LATE_AWAITED_MAX = 200;
/** A flush is an end: the process does not wait a minute for a Redis that is away. */
const FLUSH_MS_MAX = 5000;

export function createLedgerRecorder(options: RecorderOptions): LedgerRecorder {
  const { clock, bounds, shardOf, onLost } = options;
  /** At most one for each shard. */
  const batchers = new Map<number, Batcher<readonly PendingEntry[], void>>();
  const placing = createPlacing(options);
  const room = createRoom(bounds);
  const late = createLateGroups(clock, put);
  let underWay = 0;
  let lastWritten = Promise.resolve();
  let flushEndsAtMs = Infinity;

  function batcherOf(shard: number): Batcher<readonly PendingEntry[], void> {
    const known =
      batchers.get(shard) ??
      createShardBatcher(options, placing, shard, {
        endsAtMs: () => flushEndsAtMs,
        onUnmet(entries) {
          if (room.take(entries)) late.add([shard, entries]);
          else onLost(entries.length);
        },
      });
    batchers.set(shard, known);
    return known;
  }

  async function write(shard: number, entries: readonly PendingEntry[]): Promise<void> {
    underWay += 1;
    try {
      await batcherOf(shard).add(entries, argumentBytesOf(entries) + entries.length * ITEM_BYTES);
    } catch {
      onLost(entries.length);
    } finally {
      underWay -= 1;
      room.give(entries);
    }
  }

  function put(groups: readonly PendingGroup[]): void {
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
      const made = [...groups].map(([shard, ofShard]): PendingGroup => [shard, ofShard.map(toPendingEntry)]);
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

function createShardBatcher(
  options: RecorderOptions,
  placing: Placing,
  shard: number,
  parent: { readonly endsAtMs: () => number; readonly onUnmet: (entries: readonly PendingEntry[]) => void },
): Batcher<readonly PendingEntry[], void> {
  const { clock, bounds, spill } = options;
  const wayIn = createWayIn({ clock, endsAtMs: parent.endsAtMs });
  return createBatcher({
    clock,
    itemsMax: BATCH_ITEMS_MAX,
    bytesMax: BATCH_BYTES_MAX,
    waitingMax: bounds.entriesWaitingMax,
    overflow: () => new Error("more calls wait than entries may"),
    async flush(calls) {
      const entries = calls.flat();
      const found = await wayIn.take(
        (isAgain) => placing.place(shard, entries, isAgain),
        spill === null ? null : () => spill(entries.map(packEntry)),
      );
      const unmet = (found ?? []).filter((entry) => entry.unmet < LATE_MS.length);
      if (unmet.length > 0) parent.onUnmet(unmet);
      return calls.map(() => DONE);
    },
  });
}

const DONE: BatchResult<void> = { kind: "done", value: undefined };
