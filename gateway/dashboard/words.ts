/** Times and numbers as people say them. */

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

export function spanText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${Number((ms / 1000).toFixed(1))} s`;
  if (ms < MINUTE_MS) return `${Math.round(ms / 1000)} s`;
  if (ms < HOUR_MS) return `${Math.floor(ms / MINUTE_MS)} min`;
  if (ms < 2 * DAY_MS) return `${Math.floor(ms / HOUR_MS)} h`;
  return `${Math.floor(ms / DAY_MS)} days`;
}

/** Of an instant before or after now. */
export function relativeText(atMs: number, nowMs: number): string {
  const ms = nowMs - atMs;
  if (Math.abs(ms) < 1000) return "just now";
  return ms > 0 ? `${spanText(ms)} ago` : `in ${spanText(-ms)}`;
}

export function countText(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

export function manyText(count: number, one: string, many = `${one}s`): string {
  return `${countText(count)} ${count === 1 ? one : many}`;
}

/** A rate, by the minute where it is less than one a second. */
export function perTimeText(perS: number): string {
  if (perS < 1) return `${(60 * perS).toFixed(1)} a minute`;
  return `${perS < 10 ? perS.toFixed(1) : countText(Math.round(perS))} a second`;
}

/** Never rounded up: what is not all is not shown as all. */
export function shareText(part: number, whole: number): string {
  return whole === 0 ? "none" : `${Math.floor((1000 * part) / whole) / 10} %`;
}

/** JSON text with line breaks and indents between its members, and each value as it was written. */
export function indentedJson(text: string): string {
  let depth = 0;
  let indented = "";
  for (const [piece] of text.matchAll(/"(?:[^"\\]|\\.)*"|\{\s*\}|\[\s*\]|[{}[\],:]|[^\s"{}[\],:]+/g)) {
    const next = (): string => `\n${"  ".repeat(depth)}`;
    if (piece === "{" || piece === "[") {
      depth += 1;
      indented += piece + next();
    } else if (piece === "}" || piece === "]") {
      depth -= 1;
      indented += next() + piece;
    } else if (piece === ",") indented += piece + next();
    else indented += piece === ":" ? ": " : piece;
  }
  return indented;
}
