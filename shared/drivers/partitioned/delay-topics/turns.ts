/** Entries in the order of their times, those of one time as they were read. Each has one turn: set again, it has the new one alone. */
import { createHeap } from "../../../lib/heap.ts";
import type { DelayedEntry } from "./partition.ts";

/** Turns that count no more and are kept all the same, beside as many as there are entries: then they are swept out. */
const SPENT_MAX = 1000;

export interface Turns {
  /** At its `notBeforeMs` of now. */
  set(entry: DelayedEntry): void;
  remove(entry: DelayedEntry): void;
  first(): DelayedEntry | undefined;
  /** The entries whose `notBeforeMs` was changed since they were set. */
  moved(): readonly DelayedEntry[];
  dropLost(): void;
  /** Turns that are kept: at most twice the entries, and `SPENT_MAX`. */
  size(): number;
}

interface Turn {
  readonly atMs: number;
  readonly entry: DelayedEntry;
}

export function createTurns(): Turns {
  const heap = createHeap<Turn>((left, right) => left.atMs - right.atMs || left.entry.sequence - right.entry.sequence);
  /** The turn that counts; a former one, as of what was recalled, stays in the heap until it is first or swept out. */
  const current = new Map<DelayedEntry, Turn>();
  const counts = (turn: Turn): boolean => current.get(turn.entry) === turn;

  /** A recalled item is done long before its former time: without this its turn would stay until then, however many there are. */
  function sweep(): void {
    if (heap.size() > 2 * current.size + SPENT_MAX) heap.retain(counts);
  }

  return {
    set(entry) {
      const turn = { atMs: entry.notBeforeMs, entry };
      current.set(entry, turn);
      heap.push(turn);
      sweep();
    },
    remove(entry) {
      current.delete(entry);
      sweep();
    },
    first() {
      let turn = heap.peek();
      for (; turn !== undefined && !counts(turn); turn = heap.peek()) heap.pop();
      return turn?.entry;
    },
    moved: () =>
      Array.from(
        current.values().filter(({ atMs, entry }) => atMs !== entry.notBeforeMs),
        ({ entry }) => entry,
      ),
    dropLost() {
      for (const entry of current.keys()) if (entry.home.isLost) current.delete(entry);
      heap.retain(counts);
    },
    size: () => heap.size(),
  };
}
