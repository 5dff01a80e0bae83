/**
 * `npm test`: every test file on Bun, and the portable suites once more on Node and Deno. The last line says
 * `N passed, N failed`; a skipped test, an empty file or an empty suite is a failure, so nothing is left out in silence.
 * `--full` runs the long forms (the tests read POSTHASTE_FULL).
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { bun, deno, node } from "./runtimes.ts";
import type { Report, Runtime } from "./runtimes.ts";
import { readWords } from "./script-words.ts";
import { openServices } from "./services.ts";

interface Run {
  readonly suite: string;
  readonly runtime: Runtime["name"];
  readonly report: Report;
  readonly seconds: number;
  /** Why the run failed beyond its failing tests, or "". */
  readonly complaint: string;
}

const root = join(import.meta.dirname, "../..");
const runtimesFolder = join(root, "test/runtimes");
const HELP = `Usage: npm test, or npm run test:full

Runs every test on Bun, and the portable suites on Node 24 and Deno too; the last line says N passed, N failed. About a quarter
of an hour; test:full runs the long forms, for hours.

Installed first, if it is missing: Node 24 and Deno by npm into test/runtimes, and what npm run services needs (see its
--help), unless REDIS_URL and KAFKA_BROKERS name a Redis and a Kafka of yours.
`;
const isFull = readWords({ help: HELP, options: { full: { type: "boolean", default: false } } }).values.full;

/** Suites that promise to run unchanged on every runtime, but for what talks to Redis and Kafka: programs run on Bun. */
const portable: ReadonlySet<string> = new Set(["lib", "domain", "contract", "drivers"]);
const needsServices = /^test\/(?:contract\/distributed|drivers\/(?:distributed\/dead-letters|kafka|redis))\b/;
const SERVICES_SUITE = "services";

/** Seconds that a suite may take on one runtime; more is marked in the table. Suites run in this order. */
const budgetSeconds: Readonly<Record<string, number>> = {
  codebase: 5,
  lib: 20,
  domain: 40,
  contract: 60,
  drivers: 120,
  [SERVICES_SUITE]: 120,
  gateway: 120,
  processor: 30,
  simulation: 120,
  fuzz: 60,
  e2e: 420,
  docs: 10,
  examples: 40,
  month: 60,
  support: 60,
};
const OTHER_BUDGET_SECONDS = 30;
/** One test, and one suite: when it passes the run is killed and fails. Whole systems are killed and started end to end. */
const TEST_TIMEOUT_MS = isFull ? 1_800_000 : 60_000;
const WHOLE_TIMEOUT_MS = isFull ? 1_800_000 : 240_000;
const SUITE_TIMEOUT_MS = isFull ? 7_200_000 : 1_200_000;

const noTests: Report = { passed: 0, failed: 0, skipped: 0, emptyFiles: [], ownTests: 0 };

const binaries: Readonly<Record<Runtime["name"], string>> = {
  Bun: process.execPath,
  Node: join(runtimesFolder, "node_modules/.bin/node"),
  Deno: join(runtimesFolder, "node_modules/.bin/deno"),
};

/** Installs Node and Deno beside the tests, from their own lock; nothing to do when that lock is the installed one. */
function installRuntimes(): void {
  const lock = readFileSync(join(runtimesFolder, "package-lock.json"), "utf8");
  const stamp = join(runtimesFolder, "node_modules/.installed-lock.json");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return;
  console.log("installing the test runtimes (Node 24 and Deno) into test/runtimes");
  // A surrounding `npm test` names its own folder here, and the inner npm would install there instead.
  const { npm_config_local_prefix: _outer, ...env } = process.env;
  const npm = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: runtimesFolder, env, stdio: "inherit" });
  if (npm.status !== 0) throw new Error("npm ci failed in test/runtimes: Node 24 and Deno cannot be tested");
  writeFileSync(stamp, lock);
}

function testFilesUnder(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return entry.name === "node_modules" ? [] : testFilesUnder(path);
    return entry.name.endsWith(".test.ts") ? [path] : [];
  });
}

/** Test files by suite: the folder below test/, or the file's own name for those directly in it. */
function suites(): ReadonlyMap<string, readonly string[]> {
  const files = testFilesUnder("test").toSorted();
  const bySuite = Map.groupBy(files, (file) =>
    needsServices.test(file) ? SERVICES_SUITE : (file.split("/")[1] ?? "").replace(/\.test\.ts$/, ""),
  );
  const known = Object.keys(budgetSeconds);
  const others = [...bySuite.keys()].filter((suite) => !known.includes(suite));
  return new Map([...known, ...others].map((suite) => [suite, bySuite.get(suite) ?? []]));
}

async function runSuite(
  suite: string,
  files: readonly string[],
  runtime: Runtime,
  servicesEnv: Readonly<Record<string, string>>,
): Promise<Run> {
  const startedAt = performance.now();
  const { FORCE_COLOR: _color, ...inherited } = process.env;
  const full = isFull ? { POSTHASTE_FULL: "1" } : {};
  const child = spawn(
    binaries[runtime.name],
    runtime.arguments(files, ["e2e", "fuzz", "month"].includes(suite) ? WHOLE_TIMEOUT_MS : TEST_TIMEOUT_MS),
    {
      cwd: root,
      env: { ...inherited, NO_COLOR: "1", ...full, ...servicesEnv },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: SUITE_TIMEOUT_MS,
      killSignal: "SIGKILL",
    },
  );
  const lines: string[] = [];
  const follow = async (stream: NodeJS.ReadableStream): Promise<void> => {
    for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
      lines.push(line);
      if (!runtime.isNoise(line)) console.log(`  ${line}`);
    }
  };
  const ended = new Promise<string>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve(signal ?? String(code)));
  });
  const [exit] = await Promise.all([ended, follow(child.stdout), follow(child.stderr)]);
  const report = runtime.read(lines, files);
  const seconds = (performance.now() - startedAt) / 1000;
  return { suite, runtime: runtime.name, report, seconds, complaint: complaintOf(report, exit) };
}

function complaintOf({ passed, failed, skipped, emptyFiles }: Report, exit: string): string {
  const complaints: string[] = [];
  if (passed + failed + skipped === 0) complaints.push("ran no test");
  if (exit !== "0" && failed === 0) complaints.push(`the runner ended with ${exit}`);
  if (exit === "0" && failed > 0) complaints.push("failing tests, yet the runner ended with 0");
  if (emptyFiles.length > 0) complaints.push(`no test in ${emptyFiles.join(", ")}`);
  return complaints.join("; ");
}

/** A portable suite that shrinks on one runtime has lost tests in silence. */
function compareWithBun(run: Run, onBun: Run): Run {
  const count = ({ report }: Run): number => report.passed + report.failed + report.skipped - report.ownTests;
  if (count(run) === count(onBun)) return run;
  const difference = `${count(run)} tests, but ${count(onBun)} of the same on Bun`;
  return { ...run, complaint: [run.complaint, difference].filter(Boolean).join("; ") };
}

async function runAll(): Promise<readonly Run[]> {
  const runs: Run[] = [];
  await using services = await openServices({ env: process.env });
  for (const [suite, files] of suites()) {
    if (files.length === 0) {
      runs.push({ suite, runtime: bun.name, report: noTests, seconds: 0, complaint: "no test file" });
      continue;
    }
    let onBun: Run | undefined;
    for (const runtime of portable.has(suite) ? [bun, node, deno] : [bun]) {
      console.log(`\n== ${suite} on ${runtime.name} (${files.length} files)`);
      // One after the other: the times in the table are those of an undisturbed run.
      const run = await runSuite(suite, files, runtime, services.env);
      onBun ??= run;
      runs.push(compareWithBun(run, onBun));
    }
  }
  return runs;
}

/** Prints the table and the closing line; says whether the whole run is good. */
function summarize(runs: readonly Run[]): boolean {
  console.log(`\n${"suite".padEnd(14)}${"runtime".padEnd(9)}  passed  failed skipped     time  budget`);
  for (const { suite, runtime, report, seconds, complaint } of runs) {
    const budget = budgetSeconds[suite] ?? OTHER_BUDGET_SECONDS;
    const numbers = [report.passed, report.failed, report.skipped].map((count) => String(count).padStart(8)).join("");
    const time = `${seconds.toFixed(1)} s`.padStart(9) + `${budget} s`.padStart(8);
    const isOver = seconds > budget && !isFull;
    console.log(suite.padEnd(14) + runtime.padEnd(9) + numbers + time + (isOver ? "  over budget" : ""));
    if (complaint !== "") console.log(`  FAILED: ${complaint}`);
  }
  const sum = (pick: (run: Run) => number, of = runs): number => of.reduce((total, run) => total + pick(run), 0);
  const passed = sum(({ report }) => report.passed);
  const failed = sum(({ report, complaint }) => report.failed + (complaint === "" ? 0 : 1));
  const skipped = sum(({ report }) => report.skipped);
  const onBun = runs.filter(({ runtime }) => runtime === "Bun");
  const distinct = sum(({ report }) => report.passed + report.failed + report.skipped, onBun);
  console.log(
    `\n${distinct} distinct cases (Bun runs each once), ${sum(({ seconds }) => seconds).toFixed(0)} s in all`,
  );
  if (skipped > 0) console.log("skipped tests count as a failure: provide what they need, or remove them");
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  return failed === 0 && skipped === 0 && passed > 0;
}

try {
  installRuntimes();
  process.exitCode = summarize(await runAll()) ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.log("0 passed, 1 failed");
  process.exitCode = 1;
}
