/**
 * What lies behind a place of a list by time, as stretches that an index bounds by every column of the order. A place is a time and what tells
 * the rows of one time apart. Never as `(at, id) < (?, ?)`: where `id` is the rowid SQLite bounds that by the time alone, and so
 * goes over all rows of one time, for each page again.
 */
import type { Conditions } from "./conditions.ts";
import { createConditions } from "./conditions.ts";
import type { Statement } from "./database.ts";

export type Place = readonly number[];

/** Before all rows of that time in a list that is newest first: ids begin at 1. */
export function atTime(keys: readonly string[], atMs: number): Place {
  return keys.map((_, index) => (index === 0 ? atMs : -1));
}

function isTimeStart([, ...rest]: Place): boolean {
  return rest.every((key) => key === -1);
}

/**
 * Newest first, the places behind `after` down to `last` inclusive, or to all of `sinceMs`: the rest of the time that `after` lies in, the times
 * between, the beginning of the time of `last`.
 */
export function stretchesBetween(
  keys: readonly string[],
  { after, last, sinceMs }: { readonly after: Place; readonly last: Place | null; readonly sinceMs: number },
): readonly Conditions[] {
  const [time = ""] = keys;
  const [afterMs = 0] = after;
  const cut = last === null || isTimeStart(last) ? null : last;
  const [lastMs = 0] = last ?? [sinceMs];
  const rest = isTimeStart(after) || afterMs < lastMs ? [] : [ofTime(keys, "<", after)];
  if (rest.length > 0 && cut !== null && afterMs === lastMs)
    return rest.map((one) => one.plus(compared(keys, ">=", cut)));
  const between = createConditions()
    .and(`${time} < ?`, afterMs)
    .and(`${time} ${cut === null ? ">=" : ">"} ?`, lastMs);
  return [...rest, between, ...(cut === null || lastMs >= afterMs ? [] : [ofTime(keys, ">=", cut)])];
}

/** Up to `count` rows in order from behind `after`, or from the first; `<` is newest first. */
export function readBehind<Row>(query: {
  readonly prepare: (sql: string) => Statement<Row>;
  /** `SELECT ... FROM` a table. */
  readonly select: string;
  /** Equalities on the columns that the index begins with. */
  readonly range: Conditions;
  readonly keys: readonly string[];
  readonly sign: "<" | ">";
  readonly after: Place | null;
  readonly count: number;
}): readonly Row[] {
  const { prepare, select, range, keys, sign, after, count } = query;
  const order = keys.map((key) => (sign === "<" ? `${key} DESC` : key)).join(", ");
  const rows: Row[] = [];
  for (const stretch of stretchesBehind(keys, sign, after)) {
    const { where, values } = range.plus(stretch);
    const sql = `${select} ${where} ORDER BY ${order} LIMIT ?`;
    if (rows.length < count) rows.push(...prepare(sql).all(...values, count - rows.length));
  }
  return rows;
}

function stretchesBehind(keys: readonly string[], sign: "<" | ">", after: Place | null): readonly Conditions[] {
  if (after === null) return [createConditions()];
  return [ofTime(keys, sign, after), createConditions().and(`${keys[0] ?? ""} ${sign} ?`, after[0])];
}

type Sign = "<" | ">" | ">=";

function ofTime(keys: readonly string[], sign: Sign, place: Place): Conditions {
  return createConditions()
    .and(`${keys[0] ?? ""} = ?`, place[0])
    .plus(compared(keys, sign, place));
}

/** One column as itself: a comparison of rows is bounded by columns of an index alone. */
function compared([, ...names]: readonly string[], sign: Sign, [, ...values]: Place): Conditions {
  const marks = values.map(() => "?").join(", ");
  const sql = values.length === 1 ? `${names[0] ?? ""} ${sign} ?` : `(${names.join(", ")}) ${sign} (${marks})`;
  return createConditions().and(sql, ...values);
}
