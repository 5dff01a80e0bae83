/** Medians, percentiles and tables: the arithmetic of a bench, free of what is measured. */

/** What a bench found, as one table. */
export interface Finding {
  /** What was run: rounds, sizes, rates. */
  readonly title: string;
  readonly header: readonly string[];
  /** The subject first; figures as a person reads them. */
  readonly rows: readonly (readonly string[])[];
  /** The column that is plotted, by its place; left out where there is nothing to compare. */
  readonly plotted?: number;
  readonly note?: string;
}

export function findingText({ title, header, rows, note }: Finding): string {
  return [`\n${title}`, table(header, rows), ...(note === undefined ? [] : [note])].join("\n");
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** Nearest rank on a copy; NaN for no values, so that an empty measurement cannot pass for a good one. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(sorted.length * share) - 1))] ?? Number.NaN;
}

/** The least and the most of the rounds, beside their median. */
export function spreadText(values: readonly number[], digits = 2): string {
  return `${Math.min(...values).toFixed(digits)} to ${Math.max(...values).toFixed(digits)}`;
}

export interface Figures {
  /** Events or requests a second. */
  readonly rate: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU microseconds of the measured process per event. */
  readonly cpuUs: number;
  readonly rssMiB: number;
}

/** The median of each figure over interleaved rounds. */
export function medianFigures(rounds: readonly Figures[]): Figures {
  const of = (pick: (figures: Figures) => number) => median(rounds.map((figures) => pick(figures)));
  return {
    rate: of(({ rate }) => rate),
    p50Ms: of(({ p50Ms }) => p50Ms),
    p99Ms: of(({ p99Ms }) => p99Ms),
    cpuUs: of(({ cpuUs }) => cpuUs),
    rssMiB: of(({ rssMiB }) => rssMiB),
  };
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  ");
  return [line(header), widths.map((width) => "-".repeat(width)).join("  "), ...rows.map((row) => line(row))].join(
    "\n",
  );
}

export function figuresRow(name: string, figures: Figures, ceiling: Figures): string[] {
  return [
    name,
    String(Math.round(figures.rate)),
    (figures.rate / ceiling.rate).toFixed(2),
    figures.p50Ms.toFixed(2),
    figures.p99Ms.toFixed(2),
    figures.cpuUs.toFixed(0),
    figures.rssMiB.toFixed(0),
  ];
}

const FIGURES_HEADER = ["subject", "per second", "ratio", "p50 ms", "p99 ms", "CPU us each", "RSS MiB"] as const;

/** Of rows that `figuresRow` made. */
export function figuresFinding(title: string, rows: readonly (readonly string[])[], note?: string): Finding {
  const plotted = FIGURES_HEADER.indexOf("ratio");
  return { title, header: FIGURES_HEADER, rows, plotted, ...(note === undefined ? {} : { note }) };
}
