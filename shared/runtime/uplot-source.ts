/** The one place that reads the files of uPlot, so that a build without a file system can put another in its place. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

export interface UplotSource {
  readonly script: string;
  readonly style: string;
  readonly license: string;
}

export function uplotSource(): UplotSource {
  const { resolve } = createRequire(import.meta.url);
  const read = (file: string): string => readFileSync(resolve(`uplot/${file}`), "utf8");
  return { script: read("dist/uPlot.iife.min.js"), style: read("dist/uPlot.min.css"), license: read("LICENSE") };
}
