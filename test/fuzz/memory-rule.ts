/** When the memory of a run counts as growing: by the objects that live after a collection, not by bytes or time. */
import type { Census } from "./fuzz-subject.ts";

/** What caches and pools may still fill, with the collector's own noise. */
const OBJECTS_ROOM = 30_000;
/** Less than one object for each request: what is kept for each shows as one at least. */
const OBJECTS_PER_REQUEST = 0.5;

/** From half of the requests on, when caches are full. Null when all is well. */
export function memoryFault(censuses: readonly Census[], requests: number): string | null {
  const middle = censuses[Math.floor(censuses.length / 2) - 1];
  const last = censuses.at(-1);
  if (middle === undefined || last === undefined || middle === last) return null;
  const grown = last.objectCount - middle.objectCount;
  const allowed = OBJECTS_ROOM + (requests / 2) * OBJECTS_PER_REQUEST;
  if (grown <= allowed) return null;
  const kinds = Object.entries(last.objectTypeCounts)
    .map(([kind, count]) => ({ kind, more: count - (middle.objectTypeCounts[kind] ?? 0) }))
    .toSorted((one, other) => other.more - one.more)
    .slice(0, 5);
  return `${grown} objects more after the second half than before it, ${allowed} at most: ${JSON.stringify(kinds)}`;
}
