/** Sizes by name, and the rule that none of them grows from week to week. */

/** Rows, bytes or entries, by what holds them. */
export type Sizes = ReadonlyMap<string, number>;

/** A week may have so much more than the second one: chance decides how many letters and retries there are at its end. */
const SHARE_MORE = 0.3;
/** What is small may vary by this. */
const ROOM = { rows: 60, bytes: 2 * 1024 * 1024 } as const;

/** What remembers things of late, up to a bound of its own: it may fill up to that, and is not held to the weeks. */
const CACHES: ReadonlyMap<string, number> = new Map([
  // The lanes' and the retry queue's sets of events that were done, each in two generations.
  ["map shared/lib/recent-set.ts", 250_000],
  // Keys that were looked up, tenants' endpoints and versions, names: 10,000 each or fewer.
  ["map shared/lib/lru.ts", 50_000],
]);

/** One sentence for each size that weeks 3 or 4 have grown past week 2. */
export function growths(weeks: readonly Sizes[]): string[] {
  const [, second, ...later] = weeks;
  const names = new Set(weeks.flatMap((week) => [...week.keys()]));
  return [...names].flatMap((name) => {
    const before = second?.get(name) ?? 0;
    const most = Math.max(...later.map((week) => week.get(name) ?? 0));
    const room = name.endsWith("bytes") ? ROOM.bytes : ROOM.rows;
    const cacheMax = CACHES.get(name.replace(/:\d+$/, ""));
    if (most <= (cacheMax ?? before * (1 + SHARE_MORE) + room)) return [];
    return [`${name}: ${weeks.map((week) => week.get(name) ?? 0).join(", ")}`];
  });
}

/** A table of all sizes, one column for each week. */
export function sizesTable(weeks: readonly Sizes[]): string {
  const names = [...new Set(weeks.flatMap((week) => [...week.keys()]))].toSorted();
  const width = Math.max(...names.map((name) => name.length));
  const rows = names.map((name) => {
    const cells = weeks.map((week) => String(week.get(name) ?? 0).padStart(12)).join("");
    return `${name.padEnd(width)}${cells}`;
  });
  return rows.join("\n");
}
