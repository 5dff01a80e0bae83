/** A running Posthaste of either set, behind its API. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startProgram } from "posthaste/program.ts";
import type { Post } from "./distributed.ts";
import { openDistributedBench, poster } from "./distributed.ts";

export interface BenchSystem extends AsyncDisposable {
  readonly url: string;
  readonly post: Post;
}

/** `env`: settings beside the usual ones. */
export async function openBenchSystem(
  set: "embedded" | "distributed",
  env: Readonly<Record<string, string>>,
): Promise<BenchSystem> {
  if (set === "embedded") return await openEmbeddedSystem(env);
  const bench = await openDistributedBench({ gateways: 1, processors: 1, env });
  return { url: bench.gateways[0]?.url ?? "", post: bench.post, [Symbol.asyncDispose]: bench[Symbol.asyncDispose] };
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
    async [Symbol.asyncDispose]() {
      await program.end("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
