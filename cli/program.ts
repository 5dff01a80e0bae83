/** A gateway or a processor as a process of its own, as `bun run` starts it: for the demo, benches and tests. */
import { spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { exitWithUs } from "./exit-with-us.ts";

/** `serve` is gateway and processor in one, on the embedded set. */
export type ProgramKind = "gateway" | "processor" | "serve";

export interface Program extends AsyncDisposable {
  /** Where it listens: the gateway's API, or the processor's /readyz and /metrics. */
  readonly url: string;
  readonly pid: number;
  /** The last of what it printed, at most `PRINTED_MAX` characters. */
  printed(): string;
  /** Sends the signal and resolves when the process is gone. */
  end(signal: NodeJS.Signals): Promise<Ended>;
  readonly ended: Promise<Ended>;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A binary and its words. */
export type Command = readonly [string, ...string[]];

const PRINTED_MAX = 64 * 1024;

/**
 * What Bun's collector takes for the machine's memory, as the npm scripts set it too: by default it takes what there is, and lets
 * garbage lie for it. At saturation `serve` had 183 to 187 MiB at the most so, and 258 to 260 without, at the same rate (24 GiB, Bun
 * 1.4.5). It is no limit: what is in use may be more.
 */
export const HEAP_SETTING = { BUN_JSC_forceRAMSize: String(1024 ** 3) };

const entries: Readonly<Record<ProgramKind, readonly string[]>> = {
  gateway: [fileURLToPath(import.meta.resolve("@posthaste/gateway/main/bun.ts"))],
  processor: [fileURLToPath(import.meta.resolve("@posthaste/processor/main/process.ts"))],
  serve: [fileURLToPath(new URL("main/posthaste.ts", import.meta.url)), "serve"],
};

/** The log lines that say where it listens, and that it is ready; nothing lower than info may be silenced. */
const listening: Readonly<Record<ProgramKind, RegExp>> = {
  gateway: /"event":"gateway\.listening","url":"([^"]+)"/,
  processor: /"event":"processor\.listening","url":"([^"]+)"/,
  serve: /"event":"server\.listening","url":"([^"]+)"/,
};
const ready: Readonly<Record<ProgramKind, RegExp>> = {
  gateway: listening.gateway,
  processor: /"event":"processor\.ready"/,
  serve: listening.serve,
};

/**
 * Resolves when it is ready; rejects with what it printed when it ends before. `env` is all it gets beside the PATH and the heap's setting, and `command`
 * another runtime than ours.
 * Disposing kills it.
 */
export async function startProgram(
  kind: ProgramKind,
  env: Readonly<Record<string, string>>,
  [binary, ...words]: Command = [process.execPath, ...entries[kind]],
): Promise<Program> {
  const { PATH: path = "" } = process.env;
  const child = spawn(binary, words, {
    cwd: tmpdir(),
    env: { PATH: path, HOST: "127.0.0.1", PORT: "0", ...HEAP_SETTING, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  exitWithUs(child);
  let printed = "";
  let url = "";
  let isReady = false;
  let look = (): void => undefined;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      printed = (printed + text).slice(-PRINTED_MAX);
      url ||= listening[kind].exec(printed)?.[1] ?? "";
      isReady ||= ready[kind].test(printed);
      look();
    });
  }
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal }));
  });
  await Promise.race([
    new Promise<void>((resolve) => {
      look = () => {
        if (isReady) resolve();
      };
      look();
    }),
    ended.then(() => {
      throw new Error(`the ${kind} ended before it was ready:\n${printed}`);
    }),
  ]);
  const end = (signal: NodeJS.Signals): Promise<Ended> => {
    child.kill(signal);
    return ended;
  };
  return {
    url,
    pid: child.pid ?? 0,
    printed: () => printed,
    end,
    ended,
    [Symbol.asyncDispose]: async () => void (await end("SIGKILL")),
  };
}
