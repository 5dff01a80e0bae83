/** One suite on one runtime: each of its lanes is a process of its own, and all of them give one report. */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Report, Runtime } from "./runtimes.ts";
import { reaper } from "./services/reaper.ts";

export interface SuiteRun {
  readonly report: Report;
  /** From the first start to the last end. */
  readonly seconds: number;
  /** Why the run failed beyond its failing tests, or "". */
  readonly complaint: string;
}

export interface SuiteOptions {
  readonly runtime: Runtime;
  readonly binary: string;
  /** Lists of files, relative to `root`, that run beside each other. */
  readonly lanes: readonly (readonly string[])[];
  readonly root: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Bounds of one test, where the runtime can, and of one lane: then it is killed. */
  readonly testTimeoutMs: number;
  readonly laneTimeoutMs: number;
  readonly print?: (text: string) => void;
  /** Ends every lane, with all that it started. */
  readonly signal?: AbortSignal;
}

/** What a lane has to end on SIGTERM; then it is killed. */
const END_WITHIN_MS = 5_000;

type LaneRun = Omit<SuiteRun, "seconds">;

export const noTests: Report = { passed: 0, failed: 0, skipped: 0, emptyFiles: [], ownTests: 0 };

export async function runSuite(options: SuiteOptions): Promise<SuiteRun> {
  const startedAt = performance.now();
  const runs = await Promise.all(options.lanes.map((files, place) => runLane(options, files, place)));
  return {
    report: runs.map(({ report }) => report).reduce(addReports, noTests),
    seconds: (performance.now() - startedAt) / 1000,
    complaint: runs
      .map(({ complaint }) => complaint)
      .filter((complaint) => complaint !== "")
      .join("; "),
  };
}

export function addReports(left: Report, right: Report): Report {
  return {
    passed: left.passed + right.passed,
    failed: left.failed + right.failed,
    skipped: left.skipped + right.skipped,
    emptyFiles: [...left.emptyFiles, ...right.emptyFiles],
    ownTests: left.ownTests + right.ownTests,
  };
}

async function runLane(options: SuiteOptions, files: readonly string[], place: number): Promise<LaneRun> {
  const { runtime, binary, lanes, root, env, testTimeoutMs, laneTimeoutMs, print = console.log, signal } = options;
  const child = spawn(binary, runtime.arguments(files, testTimeoutMs), {
    cwd: root,
    // A port that a killed service will take again is never given to the other lane meanwhile.
    env: { ...env, TEST_PORTS: `${place}/${lanes.length}` },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: laneTimeoutMs,
    killSignal: "SIGKILL",
    // A group of its own, so that what its tests started ends with it.
    detached: true,
  });
  const stop = endGroupOf(child, signal);
  const printer = createPrinter(runtime, lanes.length > 1, print);
  const lines: string[] = [];
  const follow = async (stream: NodeJS.ReadableStream): Promise<void> => {
    for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
      lines.push(line);
      printer.add(line);
    }
  };
  const ended = new Promise<string>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, name) => resolve(name ?? String(code)));
  });
  const [exit] = await Promise.all([ended, follow(child.stdout), follow(child.stderr)]);
  stop();
  printer.end();
  const report = runtime.read(lines, files);
  return { report, complaint: complaintOf(report, exit) };
}

/**
 * Kills what is left of the child's group when the child ends or this process does, however it does; asks it to end when
 * `signal` says so. What is returned is called when all is over.
 */
function endGroupOf(child: ChildProcess, signal: AbortSignal | undefined): () => void {
  const group = -(child.pid ?? 0);
  if (group === 0) return () => undefined;
  reaper.watchProcess(group);
  let killing: NodeJS.Timeout | undefined;
  const ask = (): void => {
    killGroup(group, "SIGTERM");
    killing = setTimeout(() => killGroup(group, "SIGKILL"), END_WITHIN_MS);
  };
  signal?.addEventListener("abort", ask, { once: true });
  // Its pipes stay open for as long as anything of it lives.
  child.once("exit", () => killGroup(group, "SIGKILL"));
  return () => {
    signal?.removeEventListener("abort", ask);
    clearTimeout(killing);
    reaper.forgetProcess(group);
  };
}

function killGroup(group: number, name: NodeJS.Signals): void {
  try {
    process.kill(group, name);
  } catch {
    // Nothing is left of it.
  }
}

/** Prints each line that is no noise as it comes; of lanes beside each other those of a file together, at its end, with its time. */
export function createPrinter(
  runtime: Pick<Runtime, "isNoise" | "fileOf">,
  isShared: boolean,
  print: (text: string) => void,
) {
  let current: { readonly file: string; readonly startedAt: number } | null = null;
  let block: string[] = [];
  const end = (): void => {
    const heading = current === null ? [] : [` ${current.file} ${secondsSince(current.startedAt)}`];
    if (heading.length + block.length > 0) print([...heading, ...block].join("\n"));
    block = [];
  };
  return {
    add(line: string): void {
      const file = runtime.fileOf(line);
      if (file !== null && isShared) {
        end();
        current = { file, startedAt: performance.now() };
      }
      if (runtime.isNoise(line)) return;
      block.push(`  ${line}`);
      if (!isShared) end();
    },
    end,
  };
}

function secondsSince(startedAt: number): string {
  return `${((performance.now() - startedAt) / 1000).toFixed(1)} s`;
}

export function complaintOf({ passed, failed, skipped, emptyFiles }: Report, exit: string): string {
  const complaints: string[] = [];
  if (passed + failed + skipped === 0) complaints.push("ran no test");
  if (exit !== "0" && failed === 0) complaints.push(`the runner ended with ${exit}`);
  if (exit === "0" && failed > 0) complaints.push("failing tests, yet the runner ended with 0");
  if (emptyFiles.length > 0) complaints.push(`no test in ${emptyFiles.join(", ")}`);
  return complaints.join("; ");
}
