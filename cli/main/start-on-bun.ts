#!/usr/bin/env node
/**
 * The `posthaste` of the npm package, for the Node that npm runs on: starts the program on the Bun that was installed with it,
 * as the npm scripts of the checkout do. Signals go through to it, and it ends as the program ended. Nothing of ours is imported:
 * it is bundled for Node 20.
 */
import { spawn } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** What Bun's collector takes for the machine's memory, as for the npm scripts; what the environment says comes first. */
const HEAP_SETTING = { BUN_JSC_forceRAMSize: "1073741824" };
/** What lies in Bun's place until its install script has run is a text; a runtime is a thousand times as large. */
const PLACEHOLDER_BYTES_MAX = 65_536;
/** What asks a program to end in order. From a terminal they come twice, which the program takes for one. */
const PASSED_ON = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/** How often it is looked whether `npx` is still there. */
const LOOK_MS = 500;

const require = createRequire(import.meta.url);

/** Programs of their own; every other word is a command of the command line. */
const programs: Readonly<Record<string, string>> = {
  gateway: "gateway/main/bun.js",
  processor: "processor/main/process.js",
};

/** Also where npm was told to run no install scripts: the runtime then lies in the package of this machine's kind. */
function findBun(): string | null {
  const manifest = require.resolve("bun/package.json");
  const placed = join(dirname(manifest), "bin/bun.exe");
  if (existsSync(placed) && statSync(placed).size > PLACEHOLDER_BYTES_MAX) return placed;
  const { optionalDependencies: kinds } = require(manifest) as {
    readonly optionalDependencies: Readonly<Record<string, string>>;
  };
  const file = process.platform === "win32" ? "bin/bun.exe" : "bin/bun";
  for (const kind of Object.keys(kinds)) {
    for (const folder of createRequire(manifest).resolve.paths(kind) ?? []) {
      const path = join(folder, kind, file);
      if (existsSync(path)) return path;
    }
  }
  return null;
}

/** Settings come from the environment alone: a `.env` of the folder it is started in is another program's. */
function start(bun: string, words: readonly string[]): void {
  const [first = "", ...rest] = words;
  const program = programs[first];
  const entry = fileURLToPath(new URL(`../dist/${program ?? "cli/main/posthaste.js"}`, import.meta.url));
  const child = spawn(bun, ["--no-env-file", entry, ...(program === undefined ? words : rest)], {
    env: { ...HEAP_SETTING, ...process.env },
    stdio: "inherit",
  });
  for (const name of PASSED_ON) process.on(name, () => void child.kill(name));
  whenNpxEnds(() => void child.kill("SIGTERM"));
  child.on("error", (error) => fail(`Bun cannot be started: ${error.message}`));
  child.on("exit", (code, signal) => {
    if (signal === null) {
      process.exitCode = code ?? 1;
      return;
    }
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

/** `npx` runs a shell that runs us, and gives its signals to the shell, which ends by them and passes nothing on. */
function whenNpxEnds(end: () => void): void {
  if (process.env["npm_command"] !== "exec") return;
  const { ppid } = process;
  const looking = setInterval(() => {
    if (process.ppid === ppid) return;
    clearInterval(looking);
    end();
  }, LOOK_MS);
  looking.unref();
}

function fail(sentence: string): void {
  process.stderr.write(`posthaste: ${sentence}\n`);
  process.exitCode = 1;
}

const bun = findBun();
if (bun === null)
  fail("Bun for this machine is not installed. Install posthaste again, without --omit=optional or --no-optional.");
else start(bun, process.argv.slice(2));
