/**
 * Items that this process handed out lately. A log takes what it is given: an item that was scheduled twice, or whose
 * produce was repeated because its answer was lost, comes twice, and the second time somebody may have worked on it.
 */
import type { Scheduled } from "../../../ports/retry-queue.ts";

/** Remembered at least; up to twice as many are. About 15 MB at most. */
export const KNOWN_ITEMS_MAX = 50_000;

export interface KnownItems {
  /** True when it was entered before. */
  enter(item: Scheduled): boolean;
}

export function createKnownItems(itemsMax: number = KNOWN_ITEMS_MAX): KnownItems {
  let young = new Set<string>();
  let old = new Set<string>();
  return {
    enter(item) {
      const key = keyOf(item);
      if (young.has(key) || old.has(key)) return true;
      if (young.size >= itemsMax) {
        old = young;
        young = new Set();
      }
      young.add(key);
      return false;
    },
  };
}

/** The piece of work: the same delivery, attempt and park. The group's id stands for its members. */
function keyOf(item: Scheduled): string {
  const first = item.members[0];
  const subject = item.group?.id ?? `${first?.tenant} ${first?.id}`;
  return `${item.cause} ${subject} ${item.endpointId ?? ""} ${item.generation} ${item.attempt} ${item.deferrals}`;
}
