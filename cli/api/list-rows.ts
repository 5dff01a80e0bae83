/** Lists: as many rows as are wanted, page by page, as a table or as JSON lines. */
import type { Page } from "@posthaste/client/public.ts";
import { counted } from "../screen/ago.ts";
import type { Column } from "../screen/table.ts";
import { tableOf } from "../screen/table.ts";
import { flag, whole } from "../words/option.ts";
import type { Calls } from "./call-command.ts";

const ROWS = 20;
const PAGE_MAX = 100;
/** Pages may be empty while there is more; so many in a row are not looked at for a person. */
const PAGES_MAX = 100_000;

export const listOptions = {
  limit: whole("N", `rows at most (${ROWS})`, { least: 1, most: 1_000_000 }),
  all: flag("all rows"),
};

export interface Listing<Row extends object> {
  /** In the singular: `event`. */
  readonly thing: string;
  readonly columns: readonly Column<Row>[];
  readonly page: (query: { readonly limit: number; readonly cursor: string | undefined }) => Promise<Page<Row>>;
}

/** A table is written when its rows are known, JSON as it comes. */
export async function listRows<Row extends object>(
  { thing, columns, page }: Listing<Row>,
  wish: { readonly limit: number | undefined; readonly all: boolean },
  { isJson, printJson, screen }: Calls,
): Promise<number> {
  const most = wish.all ? Infinity : (wish.limit ?? ROWS);
  const rows: Row[] = [];
  let count = 0;
  let cursor: string | undefined;
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    const { data, next_cursor: next } = await page({ limit: Math.min(PAGE_MAX, most - count), cursor });
    count += data.length;
    if (isJson) for (const row of data) await printJson(row);
    else rows.push(...data);
    cursor = next ?? undefined;
    if (cursor === undefined || count >= most) break;
  }
  if (!isJson && rows.length > 0) await screen.print(tableOf(columns, rows, tableScreen(screen)));
  if (count === 0 && !isJson) screen.say(`No ${thing}s.`);
  else if (cursor !== undefined) {
    screen.say(
      screen.saidStyled("dim", `These are ${counted(count, thing)}, and there may be more: --limit N or --all.`),
    );
  }
  return 0;
}

export function tableScreen({ width, styled }: Calls["screen"]) {
  return { width: width(), styled };
}
