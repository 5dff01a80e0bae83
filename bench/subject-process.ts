/**
 * A measured program in a process of its own: started, asked by lines on its standard input, answering by JSON lines on
 * its standard output, ended by id. CPU and memory are read from /proc, so benches run on Linux.
 */
import { spawn } from "node:child_process";
import { exitWithUs } from "posthaste/exit-with-us.ts";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

export interface Usage {
  readonly cpuUs: number;
  readonly rssMiB: number;
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

export async function startSubject(file: string, environment: Readonly<Record<string, string>> = {}): Promise<Subject> {
  const child = spawn(process.execPath, [`${import.meta.dirname}/subjects/${file}`], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...environment },
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
    usage() {
      const stat = readFileSync(`/proc/${child.pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
      const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
      const ticks = Number(stat[11]) + Number(stat[12]);
      return { cpuUs: (ticks * 1e6) / TICKS_PER_S, rssMiB: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024 };
    },
    async [Symbol.asyncDispose]() {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
    },
  };
}
