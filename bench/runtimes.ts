/**
 * The gateway on each runtime against the least that serves HTTP there: publishes of HIGH, with a key that has a limit, all on one Redis and
 * Kafka, no processor. Runtimes take turns within each round; processor time and memory are those of the gateway alone.
 */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildNode } from "@posthaste/gateway/main/build-node.ts";
import { openConstellation } from "posthaste/constellation.ts";
import type { Command } from "posthaste/program.ts";
import { startProgram } from "posthaste/program.ts";
import { openLocalServices } from "posthaste/local-services.ts";
import { DENO, denoProgram, NODE_20, NODE_24, requireRuntimes, WORKERD } from "../test/support/other-runtimes.ts";
import { openRest } from "../test/support/upstash/open-rest.ts";
import { startWorker } from "../test/support/workerd/start-worker.ts";
import { poster } from "./distributed.ts";
import type { Figures, Finding } from "./figures.ts";
import { median, medianFigures } from "./figures.ts";
import { EVENT_DATA, postEvents, requireWrk } from "./load.ts";
import { startBare, usageOf } from "./subject-process.ts";

const ROOT = join(import.meta.dirname, "..");
const CONNECTIONS = 64;
const WARM_UP_S = 2;
const GRACE_MS = 20_000;
const BODY = JSON.stringify({ type: "invoice.paid", priority: "HIGH", data: EVENT_DATA });
interface Running extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
}

interface Runtime {
  readonly name: string;
  readonly bare: () => Promise<Running>;
  readonly gateway: () => Promise<Running>;
}

interface Measured extends Figures {
  readonly firstMs: number;
}

export async function benchRuntimes({ rounds, seconds }: { rounds: number; seconds: number }): Promise<Finding[]> {
  requireRuntimes(NODE_24, NODE_20, DENO, WORKERD);
  requireWrk();
  await using services = await openLocalServices((sentence) => void process.stderr.write(`${sentence}\n`));
  const folder = await mkdtemp(join(tmpdir(), "posthaste-bench-"));
  await using cleaning = new AsyncDisposableStack();
  cleaning.defer(() => rm(folder, { recursive: true, force: true }));
  const prefix = `bench${randomBytes(4).toString("hex")}`;
  const env = {
    ...services.env,
    KAFKA_PREFIX: `${prefix}.`,
    REDIS_PREFIX: `${prefix}:`,
    POSTHASTE_MASTER_KEY: randomBytes(32).toString("base64"),
    LOG_LEVEL: "info",
  };
  // Makes the topics and the key.
  await using first = await openConstellation({ gateways: 1, processors: 0, env, graceMs: GRACE_MS });
  const made = await poster(first.gateways[0]?.url ?? "", first.operatorKey)("/v1/api-keys", {
    name: "bench",
    tenant: "default",
    scopes: ["publish"],
    rate_limit: { limit: 100_000, window_ms: 1000 },
  });
  const key = String(made["key"]);
  const runtimes = await runtimesFor(folder, { ...env, POSTHASTE_OPERATOR_KEY: first.operatorKey });
  const measured = runtimes.map(() => ({ bare: [] as Measured[], gateway: [] as Measured[] }));
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, { bare, gateway }] of runtimes.entries()) {
      measured[index]?.bare.push(await measure(bare, key, seconds));
      measured[index]?.gateway.push(await measure(gateway, key, seconds));
    }
  }
  const rows = runtimes.map(({ name }, index) => rowOf(name, measured[index] ?? { bare: [], gateway: [] }));
  const title = `runtimes: ${rounds} interleaved rounds of ${seconds} s, HIGH of 1 KB, ${CONNECTIONS} connections (wrk), medians`;
  return [{ title, header: HEADER, rows, plotted: HEADER.indexOf("accepts/s") }];
}

const HEADER = [
  "gateway on",
  "accepts/s",
  "bare/s",
  "ratio",
  "CPU us each",
  "bare",
  "p99 ms",
  "first 202 ms",
  "RSS MiB",
];

function rowOf(name: string, { bare, gateway }: Readonly<Record<"bare" | "gateway", readonly Measured[]>>): string[] {
  const [ceiling, ours] = [medianFigures(bare), medianFigures(gateway)];
  return [
    name,
    ours.rate.toFixed(0),
    ceiling.rate.toFixed(0),
    (ours.rate / ceiling.rate).toFixed(3),
    ours.cpuUs.toFixed(0),
    ceiling.cpuUs.toFixed(0),
    ours.p99Ms.toFixed(0),
    median(gateway.map(({ firstMs }) => firstMs)).toFixed(0),
    ours.rssMiB.toFixed(0),
  ];
}

async function measure(start: () => Promise<Running>, key: string, seconds: number): Promise<Measured> {
  const startedAt = performance.now();
  await using running = await start();
  const first = await fetch(`${running.url}/v1/events`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: BODY,
  });
  if (first.status !== 202) throw new Error(`${running.url} answered ${first.status}: ${await first.text()}`);
  const firstMs = performance.now() - startedAt;
  const load = { key, body: BODY, connections: CONNECTIONS };
  const port = Number(new URL(running.url).port);
  await postEvents(port, WARM_UP_S, load);
  const before = usageOf(running.pid);
  const posted = await postEvents(port, seconds, load);
  const after = usageOf(running.pid);
  return { ...posted, cpuUs: (after.cpuUs - before.cpuUs) / posted.count, rssMiB: after.rssMiB, firstMs };
}

async function runtimesFor(folder: string, env: Readonly<Record<string, string>>): Promise<readonly Runtime[]> {
  const node20 = join(folder, "node.js");
  await writeFile(node20, await buildNode());
  const [built] = (await Bun.build({ entrypoints: [join(ROOT, "bench/subjects/bare-runtime.ts")], target: "node" }))
    .outputs;
  const bareText = (await built?.text()) ?? "";
  const bareFile = join(folder, "bare.mjs");
  await writeFile(bareFile, bareText);
  const entry = (name: string): string => join(ROOT, "gateway/main", name);
  const commands: Readonly<Record<string, { readonly bare: Command; readonly gateway: Command }>> = {
    Bun: { bare: [process.execPath, bareFile], gateway: [process.execPath, entry("bun.ts")] },
    "Node 24": {
      bare: [NODE_24, bareFile],
      gateway: [NODE_24, entry("node.ts")],
    },
    "Node 20": {
      bare: [NODE_20, bareFile],
      gateway: [NODE_20, node20],
    },
    Deno: { bare: denoProgram(bareFile), gateway: denoProgram(entry("deno.ts")) },
  };
  const withTcp = Object.entries(commands).map(([name, { bare, gateway }]) => ({
    name,
    bare: () => startBare(bare),
    gateway: () => startProgram("gateway", env, gateway),
  }));
  return [...withTcp, { name: "workerd", bare: () => startWorker({}, bareText), gateway: () => startEdge(env) }];
}

async function startEdge(env: Readonly<Record<string, string>>): Promise<Running> {
  await using opening = new AsyncDisposableStack();
  const rest = opening.use(await openRest(env["REDIS_URL"]));
  const worker = opening.use(
    await startWorker({
      POSTHASTE_MASTER_KEY: env["POSTHASTE_MASTER_KEY"] ?? "",
      REDIS_PREFIX: env["REDIS_PREFIX"] ?? "",
      UPSTASH_REDIS_REST_URL: rest.url,
      UPSTASH_REDIS_REST_TOKEN: rest.token,
    }),
  );
  const opened = opening.move();
  return { url: worker.url, pid: worker.pid, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}
