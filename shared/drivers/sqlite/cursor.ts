/** Cursors of lists: the sort key of the last row given, opaque to callers, refused when it is not one of ours. */
import { Buffer } from "node:buffer";

import { PosthasteError } from "../../domain/errors.ts";
import { assert } from "../../lib/assert.ts";
import type { Page } from "../../ports/dead-letters.ts";

/** One letter for each list, so that a cursor of one is refused by another. */
export type CursorKind = "a" | "d" | "e" | "k" | "l" | "n" | "t";

const CURSOR_LENGTH_MAX = 200;
export const PAGE_ROWS_MAX = 1000;

export function encodeCursor(kind: CursorKind, keys: readonly number[]): string {
  return Buffer.from([kind, ...keys].join(":"), "utf8").toString("base64url");
}

/** The `count` numbers of the cursor; throws `invalid-cursor`. */
export function decodeCursor(kind: CursorKind, count: number, cursor: string): readonly number[] {
  const text = cursor.length > CURSOR_LENGTH_MAX ? "" : Buffer.from(cursor, "base64url").toString("utf8");
  const [, ...parts] = text.split(":");
  const keys = parts.map(Number);
  const isOurs = keys.length === count && keys.every((key) => Number.isSafeInteger(key));
  if (!isOurs || encodeCursor(kind, keys) !== cursor) {
    throw new PosthasteError(
      "invalid-cursor",
      "This cursor was not given out by this list. Begin again without a cursor.",
    );
  }
  return keys;
}

/**
 * A page of at most `limit` out of up to `limit + 1` rows that were read; `keysOf` names the sort key of a row.
 * The extra row shows whether more follows, so that the last page is known as the last.
 */
export function createPage<Row, Shown>(parts: {
  readonly kind: CursorKind;
  readonly limit: number;
  readonly rows: readonly Row[];
  readonly keysOf: (row: Row) => readonly number[];
  /** Null: the row does not read back, and costs itself. */
  readonly show: (row: Row) => Shown | null;
}): Page<Shown> {
  const shown = parts.rows.slice(0, parts.limit);
  const last = shown.at(-1);
  const hasMore = parts.rows.length > parts.limit && last !== undefined;
  const rows = shown.flatMap((row) => parts.show(row) ?? []) as Shown[];
  return { rows, next: hasMore ? encodeCursor(parts.kind, parts.keysOf(last)) : null };
}

export function assertLimit(limit: number): void {
  assert(Number.isInteger(limit) && limit >= 1 && limit <= PAGE_ROWS_MAX, `a page has 1 to ${PAGE_ROWS_MAX} rows`);
}
