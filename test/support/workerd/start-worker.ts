/** The gateway's worker in a real workerd, as `gateway/wrangler.json` would have it run. */
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildWorker } from "@posthaste/gateway/main/build-worker.ts";
import { requireRuntimes, WORKERD } from "../other-runtimes.ts";
import wrangler from "@posthaste/gateway/wrangler.json" with { type: "json" };

/** Once for all workers of a test file. */
let building: Promise<string> | null = null;
const PRINTED_MAX = 64 * 1024;

export interface Worker extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  /** The last of what it printed. */
  printed(): string;
  /** Sends the signal and resolves when it is gone. */
  end(signal: NodeJS.Signals): Promise<unknown>;
}

/** `env` are all its variables and secrets; `script` another worker. Rejects with what it printed when it ends before it listens. */
export async function startWorker(env: Readonly<Record<string, string>>, script?: string): Promise<Worker> {
  requireRuntimes(WORKERD);
  await using opening = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "posthaste-worker-"));
  opening.defer(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, "worker.js"), script ?? (await (building ??= buildWorker())));
  await writeFile(join(folder, "config.capnp"), configFor(Object.keys(env)));
  const child = spawn(WORKERD, ["serve", "--control-fd=3", join(folder, "config.capnp")], {
    env,
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  const ended = new Promise<void>((resolve) => void child.on("close", () => resolve()));
  const end = (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    return ended;
  };
  opening.defer(() => end("SIGKILL"));
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => void (printed = (printed + text).slice(-PRINTED_MAX)));
  }
  const port = await Promise.race([
    new Promise<number>((resolve) => {
      let told = "";
      child.stdio[3]?.on("data", (part: Buffer) => {
        told += part.toString();
        const found = /"event":"listen","socket":"http","port":(\d+)/.exec(told)?.[1];
        if (found !== undefined) resolve(Number(found));
      });
    }),
    ended.then((): never => {
      throw new Error(`workerd ended before it listened:\n${printed}`);
    }),
  ]);
  const opened = opening.move();
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    printed: () => printed,
    end,
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** Values come from the environment, so that no secret lies in a file. */
function configFor(names: readonly string[]): string {
  const bindings = names.map((name) => `(name = "${name}", fromEnvironment = "${name}")`);
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .gateway),
    (name = "internet", network = (allow = ["public", "private", "local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const gateway :Workerd.Worker = (
  modules = [(name = "worker", esModule = embed "worker.js")],
  compatibilityDate = "${wrangler.compatibility_date}",
  bindings = [${bindings.join(", ")}],
);
`;
}
