/**
 * Entries that found no event, until their next try. An event is told to the ledger beside the append to its lane and not
 * before it, so a quick consumer may record what the ledger cannot place yet.
 */
import type { Cancel, Clock } from "../../../lib/ambient.ts";
import type { PendingGroup } from "./pending-entries.ts";

/**
 * Until the next tries of an entry whose event was not known. A publisher waits four seconds at most for its part, which
 * Redis may carry out a moment after it was given up.
 */
export const LATE_MS = [100, 1000, 5000] as const;

/** Whoever adds bounds them. */
export function createLateGroups(clock: Pick<Clock, "timer">, put: (groups: readonly PendingGroup[]) => void) {
  const waits = LATE_MS.map((ms) => ({
    ms,
    groups: [] as PendingGroup[],
    timer: null as Cancel | null,
    over: Promise.withResolvers<void>(),
  }));

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
    add([shard, entries]: PendingGroup): void {
      for (const [unmet, alike] of Map.groupBy(entries, (entry) => entry.unmet)) {
        const wait = waits[unmet];
        if (wait === undefined) continue;
        wait.groups.push([shard, alike.map((entry) => ({ ...entry, unmet: unmet + 1 }))]);
        if (wait.timer !== null) continue;
        wait.over = Promise.withResolvers<void>();
        wait.timer = clock.timer(wait.ms, () => putNow(wait));
      }
    },
  };
}
