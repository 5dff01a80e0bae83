/** Tables for people: aligned, and no wider than the terminal. Pure. */
import { cut, printable, widthOf } from "./printable.ts";
import type { Screen, Style } from "./screen.ts";

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string;
  readonly style?: (row: Row) => Style | null;
  readonly isRight?: true;
  /** It may be cut to so many columns when the terminal is narrow; ids are never cut, since they are copied. */
  readonly widthMin?: number;
  /** Left out when the terminal is too narrow for all, the largest number first; without one it always stands there. */
  readonly leftOut?: number;
}

const GAP = "  ";

export function tableOf<Row>(
  all: readonly Column<Row>[],
  rows: readonly Row[],
  { width, styled }: { readonly width: number; readonly styled: Screen["styled"] },
): string {
  const columns = columnsFor(all, rows, width);
  const cells = rows.map((row) => columns.map(({ cell }) => printable(cell(row))));
  const widths = fitted(columns, cells, width);
  const lineOf = (texts: readonly string[], paint: (at: number, text: string) => string): string =>
    columns
      .map(({ isRight }, at) => {
        const text = cut(texts[at] ?? "", widths[at] ?? 0);
        const space = " ".repeat((widths[at] ?? 0) - widthOf(text));
        const isLast = at === columns.length - 1;
        return isRight === true ? space + paint(at, text) : paint(at, text) + (isLast ? "" : space);
      })
      .join(GAP)
      .trimEnd();
  const head = lineOf(
    columns.map(({ title }) => title),
    (_, text) => styled("dim", text),
  );
  const lines = rows.map((row, index) =>
    lineOf(cells[index] ?? [], (at, text) => {
      const style = columns[at]?.style?.(row) ?? null;
      return style === null ? text : styled(style, text);
    }),
  );
  return [head, ...lines].map((line) => `${line}\n`).join("");
}

/** Those for which there is room once all that may be cut are cut. */
function columnsFor<Row>(all: readonly Column<Row>[], rows: readonly Row[], width: number): readonly Column<Row>[] {
  const leastOf = ({ title, cell, widthMin = Infinity }: Column<Row>): number =>
    Math.max(widthOf(title), Math.min(widthMin, Math.max(0, ...rows.map((row) => widthOf(printable(cell(row)))))));
  let columns = all;
  for (;;) {
    const needed = columns.reduce((sum, column) => sum + leastOf(column), GAP.length * (columns.length - 1));
    const rank = Math.max(0, ...columns.map(({ leftOut = 0 }) => leftOut));
    if (needed <= width || rank === 0) return columns;
    columns = columns.filter(({ leftOut = 0 }) => leftOut !== rank);
  }
}

/** The widest that may be cut gives way first. */
function fitted<Row>(
  columns: readonly Column<Row>[],
  cells: readonly (readonly string[])[],
  width: number,
): readonly number[] {
  const widths = columns.map(({ title }, at) =>
    Math.max(widthOf(title), ...cells.map((texts) => widthOf(texts[at] ?? ""))),
  );
  let excess = widths.reduce((sum, one) => sum + one, GAP.length * (columns.length - 1)) - width;
  while (excess > 0) {
    const room = widths.map((one, at) => one - Math.max(columns[at]?.widthMin ?? one, columns[at]?.title.length ?? 0));
    const widest = widths.reduce(
      (best, one, at) => ((room[at] ?? 0) > 0 && (best === -1 || one > (widths[best] ?? 0)) ? at : best),
      -1,
    );
    if (widest === -1) return widths;
    widths[widest] = (widths[widest] ?? 0) - 1;
    excess -= 1;
  }
  return widths;
}

/** Names and values, one a line. */
export function factsOf(facts: readonly (readonly [string, string | null])[], styled: Screen["styled"]): string {
  const width = Math.max(...facts.map(([name]) => name.length));
  return facts
    .filter(([, value]) => value !== null && value !== "")
    .map(([name, value]) => `${styled("dim", name.padEnd(width))}  ${printable(value ?? "")}\n`)
    .join("");
}
