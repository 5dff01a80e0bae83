/** What happened in a simulated world, line by line: hashed as a whole, the last lines kept to be read. */
import { createHash } from "node:crypto";

export interface Trace {
  /** One event of the world; part of the hash. */
  note(line: string): void;
  /** A violation of a promise; the first ones are kept. */
  violation(invariant: string, detail: string): void;
  violations(): readonly string[];
  /** The lines kept, oldest first. */
  tail(): readonly string[];
  lineCount(): number;
  /** Hex; call it once, at the end. */
  hash(): string;
}

const VIOLATIONS_KEPT = 10;

export function createTrace(options: { readonly now: () => number; readonly linesKept: number }): Trace {
  const hash = createHash("sha256");
  const violations: string[] = [];
  let lines: string[] = [];
  let count = 0;

  function note(line: string): void {
    const full = `${(options.now() / 1000).toFixed(3).padStart(12)}  ${line}`;
    hash.update(full);
    lines.push(full);
    count++;
    if (lines.length >= 2 * options.linesKept) lines = lines.slice(-options.linesKept);
  }

  return {
    note,
    violation(invariant, detail) {
      note(`VIOLATION of ${invariant}: ${detail}`);
      if (violations.length < VIOLATIONS_KEPT) violations.push(`${invariant}: ${detail}`);
    },
    violations: () => violations,
    tail: () => lines.slice(-options.linesKept),
    lineCount: () => count,
    hash: () => hash.digest("hex"),
  };
}
