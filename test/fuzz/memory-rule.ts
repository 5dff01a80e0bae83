/**
 * When the memory of a run counts as growing: by what lives after a collection, not by bytes or time. Nothing may grow but what
 * has a bound of its own, and that is held to its bound.
 */
import { BATCH_EVENTS_MAX } from "@posthaste/shared/domain/event.ts";
import type { Census } from "./fuzz-subject.ts";

interface Filling {
  /** Of all maps and sets that the file makes, together. */
  readonly entriesMax: number;
  /** What one entry takes, in objects. */
  readonly objects: number;
}

/** Caches: they fill up to a bound for longer than a run lasts, and are emptied by half at once. By the file that makes them. */
const CACHES: Readonly<Record<string, Filling>> = {
  // Events that Kafka's lanes have done, 40,000 each; items that the retry queue has handed out; tenants that do not read.
  "shared/lib/recent-set.ts": { entriesMax: 3 * 40_000 + 100_000 + 2000, objects: 1 },
  // Keys, tenants, versions, names, endpoints that were asked for.
  "shared/lib/lru.ts": { entriesMax: 60_000, objects: 4 },
  // API keys that were saved or revoked in the last ten minutes.
  "shared/drivers/redis/api-keys/recent-changes.ts": { entriesMax: 1000, objects: 1 },
};

/**
 * What is under way or waits for its time, bodies included: thousands more or fewer from one moment to the next. Those of a
 * batch that are deferred stay for longer than a short run lasts. By the file that makes them, in objects for each.
 */
const WAITING: Readonly<Record<string, number>> = {
  "shared/drivers/partitioned/window/offset-window.ts": 13,
  "shared/drivers/partitioned/delay-topics/turns.ts": 1,
  "shared/drivers/partitioned/delay-topics/recalls.ts": 0,
};

/** For each request: what is kept for each one shows as one object at least. */
const OBJECTS_PER_REQUEST = 0.1;
const ENTRIES_PER_REQUEST = 0.02;
/** What compiled code, pools and the work of the moment may differ by. */
const OBJECTS_ROOM = 10_000;
const ENTRIES_ROOM = 500;
/** Of what waits: batches of the largest size, to all endpoints of a moment together. */
const WAITING_ROOM = 4 * BATCH_EVENTS_MAX;

/** One sentence for each thing that has grown; none when all is well. */
export function memoryFaults(censuses: readonly Census[], requests: number): string[] {
  const quarter = Math.floor(censuses.length / 4);
  const before = censuses.slice(quarter, 2 * quarter);
  const after = censuses.slice(3 * quarter);
  // Work that is under way comes and goes: the least of several moments has little of it, and all that stays for good.
  const grown = (count: (census: Census) => number): number =>
    Math.min(...after.map(count)) - Math.min(...before.map(count));
  const between = requests / 2;
  const faults: string[] = [];

  const more = grown(objectsBeside);
  const moreMax = OBJECTS_ROOM + between * OBJECTS_PER_REQUEST;
  if (more > moreMax) faults.push(`${more} objects more in the last quarter than in the second, ${moreMax} at most`);

  const files = new Set([...before, ...after].flatMap((census) => [...entriesByFile(census).keys()]));
  for (const file of files) {
    const entries = (census: Census): number => entriesByFile(census).get(file) ?? 0;
    const cache = CACHES[file];
    const most = Math.max(...censuses.map(entries));
    if (cache !== undefined && most > cache.entriesMax) {
      faults.push(`${file} holds ${most} entries, ${cache.entriesMax} at most`);
    }
    const entriesRoom = WAITING[file] === undefined ? ENTRIES_ROOM : WAITING_ROOM;
    const entriesMax = entriesRoom + between * ENTRIES_PER_REQUEST;
    if (cache === undefined && grown(entries) > entriesMax) {
      faults.push(`${file} holds ${grown(entries)} entries more in the last quarter than in the second`);
    }
  }
  return faults;
}

/** Objects beside those that caches and what waits hold. */
export function objectsBeside(census: Census): number {
  let count = census.objectCount;
  for (const [file, entries] of entriesByFile(census)) {
    count -= entries * (CACHES[file]?.objects ?? WAITING[file] ?? 0);
  }
  return count;
}

function entriesByFile({ held }: Census): ReadonlyMap<string, number> {
  const byFile = new Map<string, number>();
  for (const [place, entries] of Object.entries(held)) {
    const file = place.replace(/^map /, "").replace(/:\d+$/, "");
    byFile.set(file, (byFile.get(file) ?? 0) + entries);
  }
  return byFile;
}
