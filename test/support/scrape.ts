/** Reads `/metrics` of a program, and values out of it. */
import type { ParsedFamily } from "./parsed-metrics.ts";
import { parseMetrics } from "./parsed-metrics.ts";

export interface Scrape {
  readonly families: readonly ParsedFamily[];
  /** The values of all samples of this name that have these labels. */
  values(name: string, labels?: Readonly<Record<string, string>>): readonly number[];
  /** Their sum; 0 when there is none. */
  sum(name: string, labels?: Readonly<Record<string, string>>): number;
}

/** As OpenMetrics, by the strict parser: a text that is not valid is an error. */
export async function scrape(url: string | undefined): Promise<Scrape> {
  const answer = await fetch(`${url}/metrics`, { headers: { accept: "application/openmetrics-text; version=1.0.0" } });
  const families = await parseMetrics(await answer.text(), "openmetrics");
  const samples = families.flatMap((family) => family.samples);
  const values = (name: string, labels: Readonly<Record<string, string>> = {}): readonly number[] =>
    samples
      .filter((sample) => sample.name === name)
      .filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))
      .map(({ value }) => value);
  return { families, values, sum: (name, labels) => values(name, labels).reduce((sum, value) => sum + value, 0) };
}
