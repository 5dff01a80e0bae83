/** The one place that reads the files of uPlot, so that a build without a file system can put another in its place. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

export interface UplotSource {
  readonly script: string;
  readonly style: string;
  readonly license: string;
}

export function uplotSource(): UplotSource {
  const require = createRequire(import.meta.url);
  return {
    script: readFileSync(require.resolve("uplot/dist/uPlot.iife.min.js"), "utf8"),
    style: readFileSync(require.resolve("uplot/dist/uPlot.min.css"), "utf8"),
    license: readFileSync(require.resolve("uplot/LICENSE"), "utf8"),
  };
}
