/**
 * A measured program in a process of its own: started, asked by lines on its standard input, answering by JSON lines on
 * its standard output, ended by id. CPU and memory are read from /proc, so benches run on Linux.
 */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { exitWithUs } from "posthaste/exit-with-us.ts";
import type { Command } from "posthaste/program.ts";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export interface Usage {
  readonly cpuUs: number;
  readonly rssMiB: number;
  /** The most that it ever was. */
  readonly peakMiB: number;
}

export interface Subject extends AsyncDisposable {
  /** The first line it printed, parsed. */
  readonly hello: Readonly<Record<string, unknown>>;
  /** Sends one line and resolves with the next line it prints, parsed. */
  ask(line: string): Promise<Readonly<Record<string, unknown>>>;
  usage(): Usage;
}

/** Clock ticks a second of /proc/PID/stat on every Linux that Bun runs on. */
const TICKS_PER_S = 100;

/** Its temporary files are removed when it is disposed: a subject that is killed removes nothing itself. */
export async function startSubject(file: string, environment: Readonly<Record<string, string>> = {}): Promise<Subject> {
  const folder = mkdtempSync(join(tmpdir(), "posthaste-bench-"));
  const child = spawn(process.execPath, [`${import.meta.dirname}/subjects/${file}`], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...environment, TMPDIR: folder },
  });
  exitWithUs(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const line = await lines.next();
    if (line.done === true) throw new Error(`${file} ended without an answer`);
    return JSON.parse(line.value) as Record<string, unknown>;
  };
  const hello = await next();
  return {
    hello,
    ask(line) {
      child.stdin.write(`${line}\n`);
      return next();
    },
    usage: () => usageOf(child.pid ?? 0),
    async [Symbol.asyncDispose]() {
      await kill(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
}

export function usageOf(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const ticks = Number(stat[11]) + Number(stat[12]);
  const mib = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
  return { cpuUs: (ticks * 1e6) / TICKS_PER_S, rssMiB: mib("VmRSS"), peakMiB: mib("VmHWM") };
}

export interface CoreTime {
  /** Of all cores together, since the machine started, in ticks. */
  readonly busy: number;
  readonly all: number;
}

/** Of the machine, whatever runs on it: where its cores are busy all the time, a figure measures them. */
export function coreTime(): CoreTime {
  const [line = ""] = readFileSync("/proc/stat", "utf8").split("\n");
  const [, user, nice, system, idle, waiting, ...rest] = line.split(/\s+/).map(Number);
  const busy = [user, nice, system, ...rest.slice(0, 3)].reduce<number>((sum, ticks) => sum + (ticks ?? 0), 0);
  return { busy, all: busy + (idle ?? 0) + (waiting ?? 0) };
}

const ANSWERS_MS_MAX = 10_000;

/** A server that listens on PORT, by another runtime than ours; resolves once it answers. */
export async function startBare([binary, ...words]: Command) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(binary, words, { stdio: ["ignore", "ignore", "ignore"], env: { PORT: String(port) } });
  exitWithUs(child);
  const startedAt = performance.now();
  while (!(await isAnswering(url))) {
    if (performance.now() - startedAt > ANSWERS_MS_MAX) throw new Error(`${binary} ${words.join(" ")} does not answer`);
    await Bun.sleep(10);
  }
  return { url, pid: child.pid ?? 0, [Symbol.asyncDispose]: () => kill(child) };
}

function isAnswering(url: string): Promise<boolean> {
  return fetch(url, { method: "POST", body: "{}" }).then(
    () => true,
    () => false,
  );
}

async function freePort(): Promise<number> {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  const { port = 0 } = server;
  await server.stop(true);
  return port;
}
