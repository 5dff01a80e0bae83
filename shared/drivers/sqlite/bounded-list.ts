/**
 * Lists, newest first, that look at a bounded number of rows in one turn. The index gives the order and a range; what
 * is asked of each row besides may fail for all of them, so a page may end early, with a cursor that goes on behind.
 */
import { ID_TIME_MS_MAX } from "../../domain/id.ts";
import type { Clock } from "../../lib/ambient.ts";
import type { Page } from "../../ports/dead-letters.ts";
import type { Conditions } from "./conditions.ts";
import type { CursorKind } from "./cursor.ts";
import { assertLimit, decodeCursor, encodeCursor } from "./cursor.ts";
import type { Database, SqlValue } from "./database.ts";
import type { Place } from "./stretches.ts";
import { atTime, stretchesBetween } from "./stretches.ts";

/**
 * Rows that one statement looks at: 1 to 5 ms, by what is asked of each. 2,000 of an endpoint's events by their type took 20 ms, in which nothing
 * is delivered.
 */
export const LOOKED_MAX = 500;
/** Statements for one page, each in a turn of its own; a page that is not full by then is given out short. */
export const PARTS_MAX = 32;
/** Rows of a page that are read in full in one turn: about half a millisecond. */
export const READ_A_TURN = 25;
/** Bodies of one page; one row goes, however large. */
export const PAGE_BYTES_MAX = 4 * 1024 * 1024;

export interface ListQuery<Row> {
  readonly kind: CursorKind;
  readonly limit: number;
  readonly cursor: string | null;
  /** The table whose index gives the order, with its alias. */
  readonly table: string;
  /** Columns of the order, a time first; of the same index as `range`. */
  readonly keys: readonly string[];
  /** Equalities on the columns that the index begins with. */
  readonly range: Conditions;
  /** Bounds of the first key; until is exclusive. */
  readonly sinceMs: number | undefined;
  readonly untilMs: number | undefined;
  /** Asked of each row in the range. A `+` keeps SQLite from choosing another index for it. */
  readonly checks: Conditions;
  /** `SELECT ... FROM` the table and what is joined to it. */
  readonly select: string;
  readonly keysOf: (row: Row) => readonly number[];
  /** What no condition can say. It may read some rows for each. */
  readonly isMeant?: (row: Row) => boolean;
  /** Bytes that the row stands for. */
  readonly bytesOf?: (row: Row) => number;
}

export interface BoundedLists {
  page<Row>(query: ListQuery<Row>): Promise<Page<Row>>;
  /** What is read for each row of a page, `READ_A_TURN` rows in one turn. */
  read<Row, Read>(rows: readonly Row[], read: (row: Row) => readonly Read[]): Promise<readonly Read[]>;
  /** All rows of the query, part by part to the end. */
  count(query: Omit<ListQuery<never>, "limit" | "cursor">): Promise<number>;
}

export function createBoundedLists(options: {
  readonly database: Database;
  readonly clock: Pick<Clock, "soon">;
}): BoundedLists {
  const { database, clock } = options;
  const turn = (): Promise<void> => new Promise((resolve) => clock.soon(resolve));
  return {
    async page<Row>(query: ListQuery<Row>): Promise<Page<Row>> {
      assertLimit(query.limit);
      const { limit, checks, isMeant } = query;
      const found: Row[] = [];
      let after = startOf(query);
      for (let part = 0; part < PARTS_MAX; part++) {
        if (part > 0) await turn();
        const isAsked = checks.where !== "" || isMeant !== undefined;
        const last = isAsked ? lastLookedAt(database, query, after, LOOKED_MAX) : null;
        const count = isMeant ? LOOKED_MAX : limit + 1 - found.length;
        const rows = readPart(database, query, { after, last, count });
        found.push(...(isMeant ? firstMeant(rows, isMeant, limit + 1 - found.length) : rows));
        if (last === null || found.length > limit) return pageOf(query, found, null);
        after = last;
      }
      return pageOf(query, found, after);
    },
    async read(rows, read) {
      const found = [];
      for (const [index, row] of rows.entries()) {
        if (index > 0 && index % READ_A_TURN === 0) await turn();
        found.push(...read(row));
      }
      return found;
    },
    async count(query) {
      let total = 0;
      let after = startOf({ ...query, cursor: null });
      for (;;) {
        const last = lastLookedAt(database, query, after, LOOKED_MAX);
        total += countPart(database, query, { after, last });
        if (last === null) return total;
        after = last;
        await turn();
      }
    },
  };
}

function firstMeant<Row>(rows: readonly Row[], isMeant: (row: Row) => boolean, count: number): readonly Row[] {
  const meant: Row[] = [];
  for (const row of rows) {
    if (meant.length >= count) break;
    if (isMeant(row)) meant.push(row);
  }
  return meant;
}

type Range = Pick<ListQuery<never>, "table" | "keys" | "range" | "sinceMs" | "checks">;

/** The page begins behind this place: the cursor's, or the first with a time before `untilMs`. */
function startOf({ kind, keys, cursor, untilMs }: Pick<ListQuery<never>, "kind" | "keys" | "cursor" | "untilMs">) {
  const after = cursor === null ? null : decodeCursor(kind, keys.length, cursor);
  const until = untilMs === undefined ? null : atTime(keys, untilMs);
  if (after === null || until === null) return after ?? until ?? atTime(keys, TIME_END_MS);
  return (after[0] ?? 0) < (until[0] ?? 0) ? after : until;
}

/** Times that a clock may show; a row of another one was written by hand, and is in no list. */
const TIME_END_MS = ID_TIME_MS_MAX + 1;

/** Where the `lookedMax`th row behind `after` lies; null when fewer are left. */
function lastLookedAt(database: Database, query: Range, after: Place, lookedMax: number): Place | null {
  const { table, keys, range } = query;
  const names = keys.map((key, index) => `${key} AS key_${index}`).join(", ");
  let left = lookedMax;
  for (const stretch of stretchesOf(query, after, null)) {
    const { where, values } = range.plus(stretch);
    const from = `FROM ${table} ${where} ${orderBy(keys)}`;
    const row = database
      .prepare<Record<string, number>>(`SELECT ${names} ${from} LIMIT 1 OFFSET ?`)
      .get(...values, left - 1);
    if (row !== undefined) return keys.map((_, index) => row[`key_${index}`] ?? 0);
    left -= countRows(database, from, values, left);
  }
  return null;
}

function readPart<Row>(
  database: Database,
  query: ListQuery<Row>,
  { after, last, count }: Part & { readonly count: number },
): readonly Row[] {
  const found: Row[] = [];
  for (const stretch of stretchesOf(query, after, last)) {
    if (found.length >= count) break;
    const { where, values } = query.range.plus(query.checks).plus(stretch);
    const sql = `${query.select} ${where} ${orderBy(query.keys)} LIMIT ?`;
    found.push(...database.prepare<Row>(sql).all(...values, count - found.length));
  }
  return found;
}

interface Part {
  readonly after: Place;
  readonly last: Place | null;
}

function countPart(database: Database, query: Range, { after, last }: Part): number {
  return stretchesOf(query, after, last).reduce((sum, stretch) => {
    const { where, values } = query.range.plus(query.checks).plus(stretch);
    return sum + countRows(database, `FROM ${query.table} ${where} ${orderBy(query.keys)}`, values, LOOKED_MAX);
  }, 0);
}

function countRows(database: Database, from: string, values: readonly SqlValue[], countMax: number): number {
  const sql = `SELECT count(*) AS count FROM (SELECT 1 ${from} LIMIT ?)`;
  return database.prepare<{ count: number }>(sql).get(...values, countMax)?.count ?? 0;
}

function stretchesOf({ keys, sinceMs }: Range, after: Place, last: Place | null): readonly Conditions[] {
  return stretchesBetween(keys, { after, last, sinceMs: Math.max(0, sinceMs ?? 0) });
}

function orderBy(keys: readonly string[]): string {
  return `ORDER BY ${keys.map((key) => `${key} DESC`).join(", ")}`;
}

/** `end`: the place that was looked at last when the list goes on behind `found`. */
function pageOf<Row>(query: ListQuery<Row>, found: readonly Row[], end: Place | null): Page<Row> {
  const { kind, limit, keysOf } = query;
  const rows = upToBytes(found.slice(0, limit), query.bytesOf);
  const last = rows.at(-1);
  const next = rows.length < found.length && last !== undefined ? keysOf(last) : end;
  return { rows, next: next === null ? null : encodeCursor(kind, next) };
}

function upToBytes<Row>(rows: readonly Row[], bytesOf: ListQuery<Row>["bytesOf"]): readonly Row[] {
  if (bytesOf === undefined) return rows;
  let bytes = 0;
  const end = rows.findIndex((row, index) => {
    bytes += bytesOf(row);
    return index > 0 && bytes > PAGE_BYTES_MAX;
  });
  return end === -1 ? rows : rows.slice(0, end);
}
