/** `npm run check`: everything that is wrong without running the product. Stops at the first step that fails. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { FOLDERS } from "./codebase-rules.ts";
import { readWords } from "./script-words.ts";

const HELP = `Usage: npm run check

Types, lint, format, unused code and the codebase's own rules: all that is wrong without running the product. A minute or
two; nothing is installed or changed.
`;
readWords({ help: HELP, options: {} });

interface Step {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
}

const root = join(import.meta.dirname, "../..");
const bin = (name: string): string => join(root, "node_modules/.bin", name);

const steps: readonly Step[] = [
  { name: "types", command: [bin("tsc"), "-p", "."] },
  { name: "types of shared/lib, without any environment", command: [bin("tsc"), "-p", "shared/lib"] },
  { name: "types of shared/domain, without any environment", command: [bin("tsc"), "-p", "shared/domain"] },
  { name: "types of gateway, with web globals only", command: [bin("tsc"), "-p", "gateway"] },
  { name: "types of client, with web globals only", command: [bin("tsc"), "-p", "client"] },
  { name: "lint", command: [bin("oxlint"), "--type-aware", "--deny-warnings", ...FOLDERS] },
  { name: "format", command: [bin("oxfmt"), "--check"] },
  { name: "unused code and dependencies", command: [bin("knip"), "--no-progress"] },
  {
    name: "codebase rules",
    command: [process.execPath, "test", "--timeout", "60000", "--only-failures", "./test/codebase.test.ts"],
  },
];

function seconds(sinceMs: number): string {
  return `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`;
}

/** The first step that failed, or undefined. */
function failingStep(): string | undefined {
  // oxlint skips a folder that is not there, and says nothing.
  const missing = FOLDERS.filter((folder) => !existsSync(join(root, folder)));
  if (missing.length > 0) return `folders (missing: ${missing.join(", ")})`;
  for (const { name, command } of steps) {
    const startedAtMs = performance.now();
    const [binary, ...args] = command;
    const { status, error } = spawnSync(binary, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
    if (error !== undefined) console.error(error.message);
    console.log(`${status === 0 ? "ok    " : "FAILED"} ${seconds(startedAtMs).padStart(7)}  ${name}`);
    if (status !== 0) return name;
  }
  return undefined;
}

const startedAtMs = performance.now();
const failed = failingStep();
console.log(failed === undefined ? `check passed in ${seconds(startedAtMs)}` : `check failed at: ${failed}`);
process.exitCode = failed === undefined ? 0 : 1;
