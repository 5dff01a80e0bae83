/**
 * Pages of the ledger's lists, put together from the parts that scripts return, of one shard or of all. A place in a
 * list is score and member, newest first; it is the same on each shard, so that one cursor serves them all.
 */
import { Buffer } from "node:buffer";

import { PosthasteError } from "../../../domain/errors.ts";
import { assert } from "../../../lib/assert.ts";
import type { Page } from "../../../ports/dead-letters.ts";
import type { RedisReply } from "../client/redis-commands.ts";
import { replyText } from "./record.ts";

export interface Place {
  readonly score: number;
  readonly member: string;
}

export type LedgerList = "events" | "events-to" | "deliveries" | "attempts" | "dead-letters";

export interface ListPart<Row> {
  /** `more`: a further row exists; `cut`: a bound was met before that is known. */
  readonly ended: "end" | "more" | "cut";
  /** The last place that was looked at; null when none was and the list was read from its beginning. */
  readonly at: Place | null;
  readonly rows: readonly (Place & { readonly row: Row })[];
}

/** Rows of one page. */
export const PAGE_ROWS_MAX = 1000;
/** Places that one script looks at: 2 to 15 ms, in which Redis does nothing else. */
export const LOOKED_MAX = 500;
/** Past it a script adds no further row to its reply. */
export const PART_BYTES_MAX = 4 * 1024 * 1024;
/** Scripts for one page of one shard; a page that is not full by then is given out short, with a cursor. Of several shards each has one more. */
export const PARTS_MAX = 8;
/** Of many shards, whatever their number. */
const LOOKED_MIN = 50;

const CURSOR_LENGTH_MAX = 400;

/** What one script may do for a page. */
export interface PartWish {
  /** Rows. */
  readonly limit: number;
  /** Places looked at. */
  readonly lookedMax: number;
  readonly after: Place | null;
}

/**
 * Reads a page. Each shard is asked for its share first, all beside each other; then, one script after the other, the one that is known the
 * least far back is asked for more. So a page looks at as many places, whatever the number of shards.
 */
export async function readPage<Row>(options: {
  readonly list: LedgerList;
  readonly limit: number;
  readonly cursor: string | null;
  readonly shards: readonly number[];
  readonly read: (shard: number, wish: PartWish) => Promise<ListPart<Row>>;
}): Promise<Page<Row>> {
  const { list, limit, cursor, shards, read } = options;
  assert(Number.isInteger(limit) && limit >= 1 && limit <= PAGE_ROWS_MAX, `a page has 1 to ${PAGE_ROWS_MAX} rows`);
  const after = cursor === null ? null : decodePlace(list, cursor);
  const scripts = shards.length + PARTS_MAX - 1;
  const lookedMax = Math.max(LOOKED_MIN, Math.floor((LOOKED_MAX * PARTS_MAX) / scripts));
  const share = Math.min(limit, 2 * Math.ceil(limit / shards.length) + 1);
  const known = await Promise.all(
    shards.map(async (shard) => knownOf(shard, [], await read(shard, { limit: share, lookedMax, after }))),
  );
  for (let script = shards.length; script < scripts; script++) {
    const least = leastKnown(known);
    if (least === null || rowsDownTo(known, least.horizon).length > limit) break;
    const left = limit - rowsDownTo(known, least.horizon).length;
    const part = await read(least.shard, { limit: Math.max(1, left), lookedMax, after: least.horizon ?? after });
    known[known.indexOf(least)] = knownOf(least.shard, least.rows, part);
  }
  const barrier = leastKnown(known)?.horizon ?? null;
  const rows = rowsDownTo(known, barrier);
  const shown = rows.slice(0, limit);
  const next = rows.length > limit ? (shown.at(-1) ?? null) : barrier;
  return { rows: shown.map(({ row }) => row), next: next === null ? null : encodePlace(list, next) };
}

/** What was read of a shard: its rows down to a place, null where that is all it has. */
interface KnownShard<Row> {
  readonly shard: number;
  readonly rows: ListPart<Row>["rows"];
  readonly horizon: Place | null;
}

function knownOf<Row>(shard: number, before: ListPart<Row>["rows"], part: ListPart<Row>): KnownShard<Row> {
  return { shard, rows: [...before, ...part.rows], horizon: part.ended === "end" ? null : part.at };
}

/** The one whose rows below its horizon may come next; null when all there is is known. */
function leastKnown<Row>(known: readonly KnownShard<Row>[]): KnownShard<Row> | null {
  const open = known.filter(({ horizon }) => horizon !== null);
  return (
    open.toSorted((one, other) => (one.horizon && other.horizon ? newestFirst(one.horizon, other.horizon) : 0))[0] ??
    null
  );
}

/** A shard knows its rows down to its own last place only; what the others have below that comes later. */
function rowsDownTo<Row>(known: readonly KnownShard<Row>[], barrier: Place | null): ListPart<Row>["rows"] {
  return known
    .flatMap(({ rows }) => rows)
    .filter((row) => barrier === null || newestFirst(row, barrier) <= 0)
    .toSorted(newestFirst);
}

/** What `client/list.lua` replied; `show` turns the columns of a row into what it stands for, null when it does not read. */
export function parsePart<Row>(reply: RedisReply, show: (columns: readonly RedisReply[]) => Row | null): ListPart<Row> {
  assert(Array.isArray(reply), "a list replies with a list");
  const [ended, score, member, , ...found] = reply as readonly RedisReply[];
  const how = replyText(ended ?? null);
  assert(how === "end" || how === "more" || how === "cut", "a list says how it ended");
  const atScore = replyText(score ?? null);
  const at = atScore === "" ? null : { score: Number(atScore), member: replyText(member ?? null) };
  const rows = found.flatMap((columns) => {
    assert(Array.isArray(columns), "a row is a list of columns");
    const [rowScore = null, rowMember = null, ...rest] = columns as readonly RedisReply[];
    const row = show(rest);
    return row === null ? [] : [{ score: Number(replyText(rowScore)), member: replyText(rowMember), row }];
  });
  return { ended: how, at, rows };
}

function newestFirst(left: Place, right: Place): number {
  if (left.score !== right.score) return right.score - left.score;
  if (left.member === right.member) return 0;
  return left.member > right.member ? -1 : 1;
}

function encodePlace(list: LedgerList, place: Place): string {
  return Buffer.from(`${list} ${place.score} ${place.member}`, "utf8").toString("base64url");
}

/** Throws `invalid-cursor` for what `encodePlace` of this list did not give out. */
function decodePlace(list: LedgerList, cursor: string): Place {
  const text = cursor.length > CURSOR_LENGTH_MAX ? "" : Buffer.from(cursor, "base64url").toString("utf8");
  const [, score, member = ""] = /^[a-z-]+ (\d{1,16}) (\P{C}+)$/u.exec(text) ?? [];
  const place = { score: Number(score), member };
  if (!Number.isSafeInteger(place.score) || encodePlace(list, place) !== cursor) {
    throw new PosthasteError(
      "invalid-cursor",
      "This cursor was not given out by this list. Begin again without a cursor.",
    );
  }
  return place;
}
