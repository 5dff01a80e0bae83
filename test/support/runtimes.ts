/**
 * How each runtime runs node:test files, and how its report is read. All three print for people; the patterns here are
 * those of Bun 1.4.5, Node 24.21.0 and Deno 2.9.5, and a report they do not fit counts as a failure.
 */

export interface Tally {
  readonly passed: number;
  readonly failed: number;
  /** Skipped, ignored, todo or cancelled. */
  readonly skipped: number;
}

export interface Report extends Tally {
  /** Files in which the runtime found no test. */
  readonly emptyFiles: readonly string[];
  /** Of the tests, those of the client that only this runtime has: the others cannot have run them. */
  readonly ownTests: number;
}

export interface Runtime {
  readonly name: "Bun" | "Node" | "Deno";
  /** The arguments after the binary; `files` are relative to the root, `timeoutMs` bounds one test where it can. */
  arguments(files: readonly string[], timeoutMs: number): readonly string[];
  /** A line that says only that something passed. */
  isNoise(line: string): boolean;
  /** The file whose lines follow this one; null when the line begins none. */
  fileOf(line: string): string | null;
  read(lines: readonly string[], files: readonly string[]): Report;
}

/** The name of each test of Bun's own HTTP client begins so (`receiver.ts`). */
const BUN_CLIENT_TEST = /^\((?:pass|fail|skip|todo)\) runtime: /;

export const bun: Runtime = {
  name: "Bun",
  arguments: (files, timeoutMs) => ["test", "--timeout", String(timeoutMs), ...files.map((file) => `./${file}`)],
  isNoise: (line) => /^(?:\(pass\) .*|bun test v.*|(?:::group::)?\S+\.test\.ts:|::endgroup::|)$/.test(line),
  fileOf: (line) => /^(?:::group::)?(\S+\.test\.ts):$/.exec(line)?.[1] ?? null,
  read(lines, files) {
    let file = "";
    const seen = new Set<string>();
    for (const line of lines) {
      file = this.fileOf(line) ?? file;
      if (/^\((?:pass|fail|skip|todo)\) /.test(line)) seen.add(file);
    }
    const count = (word: string): number => lastNumber(lines, new RegExp(`^ *(\\d+) ${word}s?$`));
    return {
      passed: count("pass"),
      // An error between tests is counted among the failures too, unless it came after the last file.
      failed: Math.max(count("fail"), count("error")),
      skipped: count("skip") + count("todo"),
      emptyFiles: files.filter((name) => !seen.has(name)),
      ownTests: lines.filter((line) => BUN_CLIENT_TEST.test(line)).length,
    };
  },
};

export const node: Runtime = {
  name: "Node",
  arguments: (files, timeoutMs) => ["--test", "--test-reporter=spec", `--test-timeout=${timeoutMs}`, ...files],
  isNoise: (line) => /^\s*✔ |^ℹ [a-z_]+ [\d.]+$|^$/.test(line),
  fileOf: () => null,
  read(lines, files) {
    const count = (word: string): number => lastNumber(lines, new RegExp(`^ℹ ${word} (\\d+)$`));
    // Node reports a file without tests as one test that passed and bears the file's name.
    const emptyFiles = files.filter((file) => lines.some((line) => line.startsWith(`✔ ${file} (`)));
    return {
      passed: count("pass") - emptyFiles.length,
      failed: count("fail"),
      skipped: count("skipped") + count("todo") + count("cancelled"),
      emptyFiles,
      ownTests: 0,
    };
  },
};

export const deno: Runtime = {
  name: "Deno",
  arguments: (files) => ["test", "-A", "--no-check", "--no-lock", "--node-modules-dir=manual", ...files],
  isNoise: (line) => /^running \d+ tests? from |\.\.\. ok \(|^$/.test(line),
  fileOf: (line) => /^running \d+ tests? from \.\/(\S+)$/.exec(line)?.[1] ?? null,
  read(lines, files) {
    const summary = lines.findLast((line) => /^(?:ok|FAILED) \| \d+ passed/.test(line)) ?? "";
    const count = (word: string): number => Number(new RegExp(`\\| (\\d+) ${word}`).exec(summary)?.[1] ?? 0);
    const isEmpty = (file: string): boolean => lines.includes(`running 0 tests from ./${file}`);
    const [passed, failed, skipped] = [count("passed"), count("failed"), count("ignored")];
    return { passed, failed, skipped, emptyFiles: files.filter(isEmpty), ownTests: 0 };
  },
};

function lastNumber(lines: readonly string[], pattern: RegExp): number {
  const line = lines.findLast((candidate) => pattern.test(candidate));
  return line === undefined ? 0 : Number(pattern.exec(line)?.[1]);
}
