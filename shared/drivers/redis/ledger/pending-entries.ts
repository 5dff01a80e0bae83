/** Entries on their way into the ledger: as the script takes them, with the event where it is at hand, and what they take. */
import type { Envelope } from "../../../domain/envelope.ts";
import type { LedgerEntry } from "../../../ports/ledger.ts";
import type { RedisArgument } from "../client/redis-commands.ts";
import type { LedgerBounds } from "./bounds.ts";
import { entryArguments } from "./record.ts";

export interface PendingEntry {
  readonly args: readonly RedisArgument[];
  readonly envelope: Envelope | null;
  /** Of the arguments. */
  readonly bytes: number;
  /** Tries that found no event. */
  readonly unmet: number;
}

export type PendingGroup = readonly [shard: number, entries: readonly PendingEntry[]];

export function toPendingEntry(given: LedgerEntry): PendingEntry {
  return pendingEntryOf(entryArguments(given), given.envelope ?? null);
}

export function pendingEntryOf(args: readonly RedisArgument[], envelope: Envelope | null): PendingEntry {
  const bytes = args.reduce<number>((sum, arg) => sum + (typeof arg === "number" ? 8 : arg.length), 0);
  return { args, envelope, bytes, unmet: 0 };
}

export function argumentBytesOf(entries: readonly PendingEntry[]): number {
  return entries.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** How much waits, and how much may; each entry counts its event, however many share it. */
export function createRoom({ entriesWaitingMax, bytesWaitingMax }: LedgerBounds) {
  let count = 0;
  let bytes = 0;
  const hasPlaces = (more: number): boolean => count + more <= entriesWaitingMax;
  return {
    hasPlaces,
    /** False when there is none for all of them. */
    take(entries: readonly PendingEntry[]): boolean {
      const more = bytesOf(entries);
      if (!hasPlaces(entries.length) || bytes + more > bytesWaitingMax) return false;
      count += entries.length;
      bytes += more;
      return true;
    },
    give(entries: readonly PendingEntry[]): void {
      count -= entries.length;
      bytes -= bytesOf(entries);
    },
  };
}

function bytesOf(entries: readonly PendingEntry[]): number {
  return entries.reduce((sum, { bytes, envelope }) => sum + bytes + (envelope?.body.length ?? 0), 0);
}
