/** A deployment with a gateway at the edge, whose commands to Redis go by a proxy of the test. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { startProgram } from "posthaste/program.ts";
import { DENO, denoProgram, requireRuntimes } from "../support/other-runtimes.ts";
import { openRest } from "../support/upstash/open-rest.ts";
import type { RestProxy } from "../support/upstash/open-proxy.ts";
import { openRestProxy } from "../support/upstash/open-proxy.ts";
import type { Worker } from "../support/workerd/start-worker.ts";
import { startWorker } from "../support/workerd/start-worker.ts";
import type { DistributedHarness } from "./distributed-harness.ts";
import { openDistributedHarness } from "./distributed-harness.ts";

type StartEdge = (env: Readonly<Record<string, string>>) => Promise<Worker>;

const DENO_DEPLOY = join(import.meta.dirname, "../../gateway/main/deno-deploy.ts");

/** What a gateway at the edge runs on. */
export const EDGES = {
  workerd: (env) => startWorker(env),
  "Deno Deploy's entry": (env) => {
    requireRuntimes(DENO);
    return startProgram("gateway", { PORT: "0", ...env }, denoProgram(DENO_DEPLOY));
  },
} as const satisfies Readonly<Record<string, StartEdge>>;

export interface EdgeHarness extends AsyncDisposable {
  /** With one gateway, on Bun. */
  readonly deployment: DistributedHarness;
  readonly proxy: RestProxy;
  /** One more, for a worker that is given its `url` as `UPSTASH_REDIS_REST_URL`. */
  openProxy(): Promise<RestProxy>;
  /** What a worker of the deployment is given; `env` beside it, or in its place. */
  startWorker(env?: Readonly<Record<string, string>>): Promise<Worker>;
}

/** In workerd unless told. */
export async function openEdgeHarness(
  options: { readonly processors: number },
  startEdge: StartEdge = EDGES.workerd,
): Promise<EdgeHarness> {
  await using opening = new AsyncDisposableStack();
  const rest = opening.use(await openRest());
  const proxy = opening.use(await openRestProxy(rest));
  const shared = { POSTHASTE_MASTER_KEY: randomBytes(32).toString("base64"), POSTHASTE_ALLOW_CIDRS: "127.0.0.0/8" };
  const deployment = opening.use(await openDistributedHarness({ gateways: 1, ...options, env: shared }));
  const settings = {
    ...shared,
    UPSTASH_REDIS_REST_URL: proxy.url,
    UPSTASH_REDIS_REST_TOKEN: rest.token,
    REDIS_PREFIX: `${deployment.prefix}:`,
  };
  const opened = opening.move();
  return {
    deployment,
    proxy,
    openProxy: () => openRestProxy(rest),
    startWorker: (env = {}) => startEdge({ ...settings, ...env }),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}
