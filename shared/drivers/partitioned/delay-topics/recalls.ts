/**
 * Deferred items that wait in memory, found by their endpoint, and endpoints that asked for more than there were: those
 * get theirs when a relay brings them through this process.
 */
import type { Clock } from "../../../lib/ambient.ts";
import { Lru } from "../../../lib/lru.ts";
import { isDeferred } from "../../../ports/retry-queue.ts";
import type { DelayedEntry } from "./partition.ts";

/** Endpoints whose wish for more is remembered; the one that asked longest ago is forgotten. */
const MISSED_MAX = 10_000;
/** An answer tells that there is room now; what it asked for is no wish of the next hour, when the endpoint may be down. */
const MISSED_MS = 60_000;

export interface Recalls {
  /** Waits in memory, for its own time or for a relay. */
  waits(entry: DelayedEntry): void;
  /** Waits no more: handed out, acked or lost. */
  forget(entry: DelayedEntry): void;
  dropLost(): void;
  /** At most `max` of those that wait for the endpoint and are not due, about the soonest first. */
  take(endpointId: string, max: number, nowMs: number): readonly DelayedEntry[];
  /** Was it asked for before it came by? Says so as often as items were missing. */
  isMissed(entry: DelayedEntry): boolean;
}

export function createRecalls(clock: Pick<Clock, "monotonic">): Recalls {
  const waiting = new Map<string, Set<DelayedEntry>>();
  const missed = new Lru<string, number>({ countMax: MISSED_MAX, age: { ms: MISSED_MS, clock } });
  const endpointOf = ({ item }: DelayedEntry) => (item !== null && isDeferred(item) ? item.endpointId : null);
  /** By entry, since what was acked has no item any more. */
  const endpointIds = new WeakMap<DelayedEntry, string>();

  return {
    waits(entry) {
      const endpointId = endpointOf(entry);
      if (endpointId === null) return;
      endpointIds.set(entry, endpointId);
      const entries = waiting.get(endpointId);
      if (entries === undefined) waiting.set(endpointId, new Set([entry]));
      else entries.add(entry);
    },
    forget(entry) {
      const endpointId = endpointIds.get(entry);
      const entries = endpointId === undefined ? undefined : waiting.get(endpointId);
      if (endpointId === undefined || entries === undefined) return;
      entries.delete(entry);
      if (entries.size === 0) waiting.delete(endpointId);
    },
    dropLost() {
      for (const [endpointId, entries] of waiting) {
        for (const entry of entries) if (entry.home.isLost) entries.delete(entry);
        if (entries.size === 0) waiting.delete(endpointId);
      }
    },
    take(endpointId, max, nowMs) {
      const taken: DelayedEntry[] = [];
      for (const entry of waiting.get(endpointId) ?? []) {
        if (taken.length === max) break;
        if (entry.item !== null && !entry.home.isLost && entry.notBeforeMs > nowMs) taken.push(entry);
      }
      if (taken.length < max) missed.set(endpointId, max - taken.length);
      return taken;
    },
    isMissed(entry) {
      const endpointId = endpointOf(entry);
      const left = endpointId === null ? undefined : missed.get(endpointId);
      if (endpointId === null || left === undefined) return false;
      if (left > 1) missed.set(endpointId, left - 1);
      else missed.delete(endpointId);
      return true;
    },
  };
}
