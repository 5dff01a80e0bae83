/**
 * `npm test`: every test file on Bun, and the portable suites once more on Node and Deno. The last line says
 * `N passed, N failed`; a skipped test, an empty file or an empty suite is a failure, so nothing is left out in silence.
 * `--full` runs the long forms (the tests read POSTHASTE_FULL), and names of suites run those alone.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DENO, NODE_24, RUNTIMES_FOLDER } from "./other-runtimes.ts";
import { bun, deno, node } from "./runtimes.ts";
import type { Runtime } from "./runtimes.ts";
import { readWords, refuseWords } from "./script-words.ts";
import { openServices } from "./services.ts";
import { requireChromium } from "./services/debian-packages.ts";
import { requireCollector } from "./services/collector-binary.ts";
import { requireHelm } from "./services/helm-binary.ts";
import { requireKubernetesValidate } from "./services/kubernetes-schemas.ts";
import { lanesOf } from "./suite-lanes.ts";
import type { SuiteRun } from "./suite-run.ts";
import { noTests, runSuite } from "./suite-run.ts";

interface Run extends SuiteRun {
  readonly suite: string;
  readonly runtime: Runtime["name"];
}

const root = join(import.meta.dirname, "../..");
const HELP = `Usage: npm test [-- SUITE...], or npm run test:full [-- SUITE...]

Runs every test on Bun, and the portable suites on Node 24 and Deno too, or the suites named (docs/testing.md lists them); the last
line says N passed, N failed. Under half an hour on two cores; test:full runs the long forms, for hours.

Installed first, if it is missing: Node 20 and 24, Deno and workerd by npm into test/runtimes, OpenTelemetry's collector, built by Go in a few minutes, Chromium, and what npm run services needs (see its
--help), unless REDIS_URL and KAFKA_BROKERS name a Redis and a Kafka of yours.
`;
const words = readWords({ help: HELP, options: { full: { type: "boolean", default: false } }, takesNames: true });
const isFull = words.values.full;

/** Suites that promise to run unchanged on every runtime, but for what talks to Redis and Kafka: programs run on Bun. */
const portable: ReadonlySet<string> = new Set(["lib", "domain", "contract", "drivers", "client"]);
const needsServices = /^test\/(?:contract\/distributed|drivers\/(?:distributed\/dead-letters|kafka|redis))\b/;
const SERVICES_SUITE = "services";
/** Suites whose tests may take longer: whole systems are killed and started in them, or stores asked in several lanes. */
const patient: ReadonlySet<string> = new Set(["dashboard", "e2e", "faults", "fuzz", "month", SERVICES_SUITE]);

/** Seconds that a suite may take on one runtime; more is marked in the table. Suites run in this order. */
const budgetSeconds: Readonly<Record<string, number>> = {
  codebase: 5,
  lib: 20,
  domain: 40,
  contract: 60,
  drivers: 120,
  [SERVICES_SUITE]: 150,
  client: 20,
  gateway: 120,
  dashboard: 60,
  processor: 30,
  simulation: 90,
  fuzz: 60,
  e2e: 360,
  faults: 90,
  docs: 25,
  deploy: 30,
  examples: 40,
  python: 20,
  month: 60,
  support: 60,
};
const OTHER_BUDGET_SECONDS = 30;
/** One test, and one lane of a suite: when it passes the run is killed and fails. */
const TEST_TIMEOUT_MS = isFull ? 1_800_000 : 60_000;
const PATIENT_TIMEOUT_MS = isFull ? 1_800_000 : 240_000;
const LANE_TIMEOUT_MS = isFull ? 14_400_000 : 1_200_000;

const binaries: Readonly<Record<Runtime["name"], string>> = {
  Bun: process.execPath,
  Node: NODE_24,
  Deno: DENO,
};

/** Installs Node and Deno beside the tests, from their own lock; nothing to do when that lock is the installed one. */
function installRuntimes(): void {
  const lock = readFileSync(join(RUNTIMES_FOLDER, "package-lock.json"), "utf8");
  const stamp = join(RUNTIMES_FOLDER, "node_modules/.installed-lock.json");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return;
  console.log("installing the test runtimes (Node 20 and 24, Deno, workerd) into test/runtimes");
  // A surrounding `npm test` names its own folder here, and the inner npm would install there instead.
  const { npm_config_local_prefix: _outer, ...env } = process.env;
  const npm = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: RUNTIMES_FOLDER, env, stdio: "inherit" });
  if (npm.status !== 0) throw new Error("npm ci failed in test/runtimes: Node, Deno and workerd cannot be tested");
  writeFileSync(stamp, lock);
}

function testFilesUnder(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return entry.name === "node_modules" ? [] : testFilesUnder(path);
    return entry.name.endsWith(".test.ts") ? [path] : [];
  });
}

/** Test files by suite: the folder below test/, or the file's own name for those directly in it. Ends for unknown words. */
function suites(): ReadonlyMap<string, readonly string[]> {
  const files = testFilesUnder("test").toSorted();
  const bySuite = Map.groupBy(files, (file) =>
    needsServices.test(file) ? SERVICES_SUITE : (file.split("/")[1] ?? "").replace(/\.test\.ts$/, ""),
  );
  const known = Object.keys(budgetSeconds);
  const others = [...bySuite.keys()].filter((suite) => !known.includes(suite));
  const all = [...known, ...others];
  const wanted: readonly string[] = words.positionals;
  const unknown = wanted.filter((word) => !all.includes(word));
  if (unknown.length > 0) {
    return refuseWords(HELP, `There is no suite ${unknown.join(", ")}; the suites are ${all.join(", ")}.`);
  }
  const chosen = wanted.length === 0 ? all : all.filter((suite) => wanted.includes(suite));
  return new Map(chosen.map((suite) => [suite, bySuite.get(suite) ?? []]));
}

/** A portable suite that shrinks on one runtime has lost tests in silence. */
function compareWithBun(run: Run, onBun: Run): Run {
  const count = ({ report }: Run): number => report.passed + report.failed + report.skipped - report.ownTests;
  if (count(run) === count(onBun)) return run;
  const difference = `${count(run)} tests, but ${count(onBun)} of the same on Bun`;
  return { ...run, complaint: [run.complaint, difference].filter(Boolean).join("; ") };
}

/** Ahead of the tests that need it, whose time-out is shorter than a build. Where it cannot be had they say so, and fail. */
function provide(program: () => void): void {
  try {
    program();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
  }
}

/** The longest that the run may take to end after a signal; what is left then is killed. */
const STOP_WITHIN_MS = 10_000;
const CODE_BY_SIGNAL = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** Aborts on the first signal, which ends lanes and services in order; the second ends at once. */
function untilSignalled(): AbortSignal {
  const stopping = new AbortController();
  for (const [name, code] of Object.entries(CODE_BY_SIGNAL)) {
    process.on(name, () => {
      if (stopping.signal.aborted) process.exit(code);
      process.exitCode = code;
      console.log(`${name}: the run ends`);
      stopping.abort();
      setTimeout(() => process.exit(code), STOP_WITHIN_MS).unref();
    });
  }
  return stopping.signal;
}

async function runAll(
  filesBySuite: ReadonlyMap<string, readonly string[]>,
  signal: AbortSignal,
): Promise<readonly Run[]> {
  const runs: Run[] = [];
  // A signal during their start ends at once: the reaper ends what was started of them.
  const leave = (): never => process.exit();
  signal.addEventListener("abort", leave);
  await using services = await openServices({ env: process.env });
  signal.removeEventListener("abort", leave);
  const { FORCE_COLOR: _color, ...inherited } = process.env;
  const env = { ...inherited, NO_COLOR: "1", ...(isFull ? { POSTHASTE_FULL: "1" } : {}), ...services.env };
  for (const [suite, files] of filesBySuite) {
    if (files.length === 0) {
      runs.push({ suite, runtime: bun.name, report: noTests, seconds: 0, complaint: "no test file" });
      continue;
    }
    const testTimeoutMs = patient.has(suite) ? PATIENT_TIMEOUT_MS : TEST_TIMEOUT_MS;
    let onBun: Run | undefined;
    for (const runtime of portable.has(suite) ? [bun, node, deno] : [bun]) {
      const lanes = runtime === bun ? lanesOf(suite, files) : [files];
      const inLanes = lanes.length > 1 ? ` in ${lanes.length} lanes` : "";
      console.log(`\n== ${suite} on ${runtime.name} (${files.length} files${inLanes})`);
      // One after the other: the times in the table are those of an undisturbed run.
      const options = { runtime, binary: binaries[runtime.name], lanes, root, env };
      const ran = await runSuite({ ...options, testTimeoutMs, laneTimeoutMs: LANE_TIMEOUT_MS, signal });
      if (signal.aborted) return runs;
      const run = { suite, runtime: runtime.name, ...ran };
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

const stopped = untilSignalled();
try {
  const filesBySuite = suites();
  installRuntimes();
  if (filesBySuite.has("e2e") || filesBySuite.has("docs")) provide(requireCollector);
  if (filesBySuite.has("dashboard")) provide(requireChromium);
  if (filesBySuite.has("deploy")) for (const tool of [requireHelm, requireKubernetesValidate]) provide(tool);
  const runs = await runAll(filesBySuite, stopped);
  if (!stopped.aborted) process.exitCode = summarize(runs) ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.log("0 passed, 1 failed");
  process.exitCode = 1;
}
// What a container engine has not answered would keep the process from ending.
process.stdout.write("", () => process.exit());
