/** A running Posthaste of either set, behind its API. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startProgram } from "posthaste/program.ts";
import type { Post } from "./distributed.ts";
import { openDistributedBench, poster } from "./distributed.ts";
import type { Usage } from "./subject-process.ts";
import { usageOf } from "./subject-process.ts";

export type BenchSet = "embedded" | "distributed";

export interface BenchSystem extends AsyncDisposable {
  readonly url: string;
  readonly post: Post;
  /** Of each of its processes, the gateway first; Redis and Kafka are not among them. */
  usages(): readonly Usage[];
}

/** `env`: settings beside the usual ones. */
export async function openBenchSystem(set: BenchSet, env: Readonly<Record<string, string>>): Promise<BenchSystem> {
  if (set === "embedded") return await openEmbeddedSystem(env);
  const bench = await openDistributedBench({ gateways: 1, processors: 1, env });
  return {
    url: bench.gateways[0]?.url ?? "",
    post: bench.post,
    usages: () => [...bench.gateways, ...bench.processors].map(({ pid }) => usageOf(pid)),
    [Symbol.asyncDispose]: bench[Symbol.asyncDispose],
  };
}

async function openEmbeddedSystem(env: Readonly<Record<string, string>>): Promise<BenchSystem> {
  const folder = mkdtempSync(join(tmpdir(), "posthaste-bench-"));
  const operatorKey = randomBytes(24).toString("hex");
  const program = await startProgram("serve", {
    POSTHASTE_DATA: folder,
    POSTHASTE_OPERATOR_KEY: operatorKey,
    POSTHASTE_ALLOW_CIDRS: "127.0.0.0/8",
    ...env,
  });
  return {
    url: program.url,
    post: poster(program.url, operatorKey),
    usages: () => [usageOf(program.pid)],
    async [Symbol.asyncDispose]() {
      await program.end("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
