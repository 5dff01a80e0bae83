/** What people see: tables that fit, text that cannot harm the terminal, colour where it is wanted, times in words. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ago, counted } from "posthaste/screen/ago.ts";
import { cut, printable, widthOf } from "posthaste/screen/printable.ts";
import { createScreen } from "posthaste/screen/screen.ts";
import type { Column } from "posthaste/screen/table.ts";
import { tableOf } from "posthaste/screen/table.ts";

interface Row {
  readonly id: string;
  readonly url: string;
  readonly count: number;
}

const columns: readonly Column<Row>[] = [
  { title: "ID", cell: ({ id }) => id },
  { title: "URL", cell: ({ url }) => url, widthMin: 8 },
  { title: "N", cell: ({ count }) => String(count), isRight: true },
];
const plain = (_style: string, text: string): string => text;

test("columns are aligned, numbers to the right, without spaces at the end of a line", () => {
  const rows = [
    { id: "a", url: "http://x/", count: 5 },
    { id: "long-id", url: "http://longer.example/", count: 1200 },
  ];
  assert.equal(
    tableOf(columns, rows, { width: Infinity, styled: plain }),
    "ID       URL                        N\na        http://x/                  5\nlong-id  http://longer.example/  1200\n",
  );
});

test("a table fits its terminal: what may be cut is cut, ids never", () => {
  fc.assert(
    fc.property(fc.webUrl(), fc.integer({ min: 30, max: 200 }), (url, width) => {
      const text = tableOf(columns, [{ id: "evt_0123456789", url, count: 7 }], { width, styled: plain });
      for (const line of text.trimEnd().split("\n")) assert.ok(widthOf(line) <= width, line);
      assert.ok(text.includes("evt_0123456789"));
    }),
  );
});

test("a terminal too narrow for all columns loses those that matter least, one after the other", () => {
  const many = columns.map((column, at) => ({ ...column, ...(at === 0 ? {} : { leftOut: at }) }));
  const headAt = (width: number): string | undefined =>
    tableOf(many, [{ id: "evt_0123456789", url: "http://localhost/hook", count: 7 }], { width, styled: plain }).split(
      "\n",
    )[0];
  assert.equal(headAt(60), "ID              URL                    N");
  assert.equal(headAt(26), "ID              URL");
  assert.equal(headAt(20), "ID");
});

test("wide characters and emoji count as they are drawn", () => {
  assert.deepEqual([widthOf("abc"), widthOf("日本"), widthOf("é"), widthOf("👍🏽")], [3, 4, 1, 2]);
  assert.equal(cut("日本語テキスト", 7), "日本語…");
});

test("nothing of others reaches the terminal as a control character", () => {
  assert.equal(printable("a\u001b[31mred\u0007\n\u202eend"), "a\\u{1b}[31mred\\u{7}\\n\\u{202e}end");
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      assert.ok(!/\p{Cc}/u.test(printable(text)));
    }),
  );
});

test("colour is for terminals alone, and not where NO_COLOR or TERM=dumb stands", () => {
  const out = (isTerminal: boolean) => ({ write: async () => undefined, isTerminal, columns: () => 80 });
  const styledIn = (isTerminal: boolean, env: Record<string, string>): string =>
    createScreen(out(isTerminal), out(isTerminal), env).styled("red", "x");
  assert.equal(styledIn(true, {}), "\u001b[31mx\u001b[39m");
  for (const text of [styledIn(false, {}), styledIn(true, { NO_COLOR: "1" }), styledIn(true, { TERM: "dumb" })])
    assert.equal(text, "x");
});

test("times are told in the largest unit that fits, and amounts with their thing", () => {
  const now = Date.parse("2026-01-31T12:00:00Z");
  const told = (instant: string | null): string => ago(instant, now);
  assert.equal(told("2026-01-31T11:59:59.500Z"), "now");
  assert.equal(told("2026-01-31T11:59:15Z"), "45 s ago");
  assert.equal(told("2026-01-31T11:30:00Z"), "30 min ago");
  assert.equal(told("2026-01-30T12:00:00Z"), "24 h ago");
  assert.equal(told("2026-01-01T12:00:00Z"), "30 d ago");
  assert.equal(told("2026-01-31T13:00:00Z"), "in 1 h");
  assert.equal(told(null), "never");
  assert.deepEqual([counted(1, "event"), counted(2500, "event")], ["1 event", "2,500 events"]);
});
