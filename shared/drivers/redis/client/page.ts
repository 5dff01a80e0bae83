/**
 * Pages of lists whose order is a ZSET of equal scores, sorted by its members' bytes: one order, or those of all shards
 * merged. A cursor is the last member that was given out.
 */
import { Buffer } from "node:buffer";

import { PosthasteError } from "../../../domain/errors.ts";
import { assert } from "../../../lib/assert.ts";
import { listOf, textOf } from "./reply.ts";
import type { RedisCommands, RedisScript } from "./redis-commands.ts";
import { luaScript } from "./lua-script.ts";

export const PAGE_ROWS_MAX = 1000;
const CURSOR_LENGTH_MAX = 400;
/** Of one page; more are needed only where a list holds what is none of ours. */
const CALLS_MAX = 20;
const TIME_DIGITS = 16;

const pageUp: RedisScript = luaScript({ name: "page-up", returns: "text", files: ["client/page-up"] });
const pageDown: RedisScript = luaScript({ name: "page-down", returns: "text", files: ["client/page-down"] });

export interface OrderedList {
  /** One letter for each list, so that a cursor of one is refused by another. */
  readonly letter: string;
  /** What a member looks like; a cursor that holds anything else is refused. */
  readonly member: RegExp;
  readonly isNewestFirst: boolean;
}

export interface MemberPage {
  readonly members: readonly string[];
  readonly next: string | null;
}

/** At most `limit` members behind `cursor` out of all `orders`. Throws `invalid-cursor`, `store-unavailable`. */
export async function readPage(
  commands: Pick<RedisCommands, "run">,
  list: OrderedList,
  orders: readonly string[],
  limit: number,
  cursor: string | null,
): Promise<MemberPage> {
  assert(Number.isInteger(limit) && limit >= 1 && limit <= PAGE_ROWS_MAX, `a page has 1 to ${PAGE_ROWS_MAX} rows`);
  const first = list.isNewestFirst ? "+" : "-";
  const bound = cursor === null ? first : `(${decodeCursor(list, cursor)}`;
  const script = list.isNewestFirst ? pageDown : pageUp;
  // One more than asked for tells whether more follows, so that the last page says so by itself.
  const parts = await Promise.all(orders.map((order) => readOrder(commands, list, script, order, bound, limit + 1)));
  const found = parts.flat();
  const ascending = found.toSorted();
  const sorted = list.isNewestFirst ? ascending.toReversed() : ascending;
  const members = sorted.slice(0, limit);
  const last = members.at(-1);
  return { members, next: sorted.length > limit && last !== undefined ? encodeCursor(list, last) : null };
}

/** The first `count` members of an order that are ours; what else was put there costs itself, and a call now and then. */
async function readOrder(
  commands: Pick<RedisCommands, "run">,
  list: OrderedList,
  script: RedisScript,
  order: string,
  from: string,
  count: number,
): Promise<readonly string[]> {
  const ours: string[] = [];
  let bound = from;
  for (let call = 0; call < CALLS_MAX; call++) {
    const wanted = count - ours.length;
    const found = listOf(await commands.run(script, [order], [bound, wanted])).map(textOf);
    ours.push(...found.filter((member) => list.member.test(member)));
    const last = found.at(-1);
    if (found.length < wanted || ours.length === count || last === undefined) break;
    bound = `(${last}`;
  }
  return ours;
}

/** A time as orders hold it: digits that sort as text does. */
export function sortableTime(atMs: number): string {
  assert(Number.isSafeInteger(atMs) && atMs >= 0, "a time that is sorted by is whole ms since 1970");
  return String(atMs).padStart(TIME_DIGITS, "0");
}

/** Goes on behind `member`. */
export function encodeCursor(list: OrderedList, member: string): string {
  return Buffer.from(list.letter + member, "utf8").toString("base64url");
}

function decodeCursor(list: OrderedList, cursor: string): string {
  const text = cursor.length > CURSOR_LENGTH_MAX ? "" : Buffer.from(cursor, "base64url").toString("utf8");
  const member = text.slice(1);
  if (encodeCursor(list, member) === cursor && list.member.test(member)) return member;
  throw new PosthasteError(
    "invalid-cursor",
    "This cursor was not given out by this list. Begin again without a cursor.",
  );
}
