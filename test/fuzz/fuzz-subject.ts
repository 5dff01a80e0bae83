/** The fuzzed program as a child process: started on a set's stores, asked by lines, ended in order. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** What lives in the program's memory after a collection. */
export interface Census {
  readonly objectCount: number;
  readonly objectTypeCounts: Readonly<Record<string, number>>;
  /** Entries of all Maps and Sets by the place that makes them, `map shared/lib/lru.ts:29`. */
  readonly held: Readonly<Record<string, number>>;
  readonly heapUsed: number;
  readonly rss: number;
}

export interface FuzzSubject extends AsyncDisposable {
  readonly port: number;
  census(): Promise<Census>;
  /** What nobody expected: rejections without a handler, errors of the log. */
  crashes(): Promise<readonly string[]>;
  /** Stops in order; resolves with the crashes of its whole life. */
  stop(): Promise<readonly string[]>;
}

const file = join(import.meta.dirname, "fuzz-subject-child.ts");

export async function startFuzzSubject(env: Readonly<Record<string, string>>): Promise<FuzzSubject> {
  const child = spawn(process.execPath, [file], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { PATH: process.env["PATH"] ?? "", ...env },
  });
  const exited = new Promise<void>((resolve) => void child.once("exit", () => resolve()));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const line = await lines.next();
    if (line.done === true)
      throw new Error(`the program ended (${child.exitCode ?? child.signalCode}) without an answer`);
    return JSON.parse(line.value) as Readonly<Record<string, unknown>>;
  };
  const ask = async (line: string) => {
    child.stdin.write(`${line}\n`);
    return await next();
  };
  const { port } = await next();
  return {
    port: Number(port),
    census: async () => (await ask("census")) as unknown as Census,
    crashes: async () => (await ask("crashes"))["crashes"] as readonly string[],
    async stop() {
      const { crashes } = await ask("stop");
      await exited;
      return crashes as readonly string[];
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}
