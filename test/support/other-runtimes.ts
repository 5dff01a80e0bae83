/** The runtimes beside Bun, which the test command installs by the lock of test/runtimes. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "posthaste/program.ts";

export const RUNTIMES_FOLDER = join(import.meta.dirname, "../runtimes");
const binary = (path: string): string => join(RUNTIMES_FOLDER, "node_modules", path);

// Both packages bring a `.bin/node`.
export const NODE_24 = binary("node/bin/node");
export const NODE_20 = binary("node-20/bin/node");
export const DENO = binary(".bin/deno");
export const WORKERD = binary(".bin/workerd");

/** Throws with the remedy when one is missing. */
export function requireRuntimes(...binaries: readonly string[]): void {
  for (const path of binaries)
    if (!existsSync(path))
      throw new Error(`${path} is missing: npm test installs it, and so does npm ci in test/runtimes`);
}

/** Of ours, beside the packages of `npm ci`. */
export function denoProgram(file: string): Command {
  return [DENO, "run", "-A", "--no-check", "--no-lock", "--node-modules-dir=manual", file];
}
