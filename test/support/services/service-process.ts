/**
 * One service as a process of its own: started, watched until it is ready, killed, stopped, frozen and started again on
 * the same folder. It writes to `NAME.log` in its folder; an error carries the end of that log.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { reaper } from "./reaper.ts";
import { waitFor } from "./wait-for.ts";

export interface ServiceOptions {
  /** Names the log and the errors; unique in its folder. */
  readonly name: string;
  readonly command: readonly [binary: string, ...args: string[]];
  readonly folder: string;
  /** Asked repeatedly after a start, with what the process has written since. */
  readonly isReady: (log: string) => boolean | Promise<boolean>;
  readonly readyWithinMs: number;
}

/** Disposing kills the process; its folder stays. */
export interface ServiceProcess extends AsyncDisposable {
  /** SIGKILL, as a crash; resolves once the process is gone. Nothing to do when it does not run. */
  kill(): Promise<void>;
  /** SIGTERM; a process that has not ended after 20 s is killed, and that is an error. */
  stop(): Promise<void>;
  /** Starts the process again on the same folder and port, after stopping it when it runs; resolves once ready. */
  restart(): Promise<void>;
  /** SIGSTOP: connections stay open and nothing answers, as with a hanging machine. */
  freeze(): void;
  /** SIGCONT: undoes `freeze`. */
  thaw(): void;
}

const STOP_WITHIN_MS = 20_000;
const KILL_WITHIN_MS = 5_000;
const LOG_TAIL_CHARS = 2_000;

/** Resolves once the service is ready; otherwise the process is gone when this rejects. */
export async function startService(options: ServiceOptions): Promise<ServiceProcess> {
  let child: ChildProcess | undefined;

  const signal = (name: NodeJS.Signals): void => {
    child?.kill(name);
  };
  const end = async (name: NodeJS.Signals, withinMs: number): Promise<void> => {
    const ending = child;
    if (ending === undefined) return;
    ending.kill(name);
    await waitFor({ fact: `${options.name} to end on ${name}`, withinMs, holds: () => hasEnded(ending) });
    if (ending.pid !== undefined) reaper.forgetProcess(ending.pid);
    child = undefined;
  };
  const kill = (): Promise<void> => end("SIGKILL", KILL_WITHIN_MS);
  const stop = async (): Promise<void> => {
    signal("SIGCONT");
    try {
      await end("SIGTERM", STOP_WITHIN_MS);
    } catch (error) {
      await kill();
      throw error;
    }
  };
  const start = async (): Promise<void> => {
    const logStart = logSize(options);
    child = spawnLogged(options);
    const started = child;
    try {
      await ready(options, started, logStart);
    } catch (error) {
      await kill();
      throw error;
    }
  };

  await start();
  return {
    kill,
    stop,
    restart: async () => {
      await stop();
      await start();
    },
    freeze: () => signal("SIGSTOP"),
    thaw: () => signal("SIGCONT"),
    [Symbol.asyncDispose]: kill,
  };
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}

function logOf({ name, folder }: ServiceOptions): string {
  return join(folder, `${name}.log`);
}

function logSize(options: ServiceOptions): number {
  return existsSync(logOf(options)) ? statSync(logOf(options)).size : 0;
}

/** In a session of its own: Ctrl-C at the terminal reaches this process alone, which ends the service in its order. */
function spawnLogged(options: ServiceOptions): ChildProcess {
  const [binary, ...args] = options.command;
  const log = openSync(logOf(options), "a");
  try {
    const child = spawn(binary, args, { cwd: options.folder, detached: true, stdio: ["ignore", log, log] });
    child.on("error", () => {});
    if (child.pid !== undefined) reaper.watchProcess(child.pid);
    return child;
  } finally {
    closeSync(log);
  }
}

async function ready(options: ServiceOptions, child: ChildProcess, logStart: number): Promise<void> {
  const { name, isReady, readyWithinMs } = options;
  const written = (): string => readFileSync(logOf(options)).subarray(logStart).toString();
  const explained = (complaint: string): Error =>
    new Error(`${complaint}; the end of its log:\n${written().slice(-LOG_TAIL_CHARS)}`);
  const holds = (): boolean | Promise<boolean> => {
    if (hasEnded(child)) throw explained(`${name} ended before it was ready (${child.exitCode ?? child.signalCode})`);
    return isReady(written());
  };
  try {
    await waitFor({ fact: `${name} to be ready`, withinMs: readyWithinMs, holds });
  } catch (error) {
    const isExplained = error instanceof Error && error.message.includes("the end of its log");
    throw isExplained ? error : explained(error instanceof Error ? error.message : String(error));
  }
}
