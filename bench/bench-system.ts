/** A running Posthaste of either set, behind its API. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { whenWeExit } from "posthaste/exit-with-us.ts";
import type { LocalServices } from "posthaste/local-services.ts";
import { startProgram } from "posthaste/program.ts";
import type { Post } from "./distributed.ts";
import { openBenchServices, openDistributedBench, poster } from "./distributed.ts";
import type { Usage } from "./subject-process.ts";
import { usageOf } from "./subject-process.ts";
import { within } from "./within.ts";

export type BenchSet = "embedded" | "distributed";

export interface BenchSystem extends AsyncDisposable {
  /** Another one after each start. */
  readonly url: string;
  readonly post: Post;
  /** Of its programs, those that name its stores and its master key among them. */
  readonly settings: Readonly<Record<string, string>>;
  /** Of each of its processes, the gateway first; Redis and Kafka are not among them. */
  usages(): readonly Usage[];
  /** Ends its processes, within `STEP_S_MAX`; what they stored stays. */
  stop(signal: NodeJS.Signals): Promise<void>;
  /** After a stop; resolves when all are ready, within `STEP_S_MAX`. */
  start(): Promise<void>;
}

export interface BenchSystems extends AsyncDisposable {
  readonly systems: readonly BenchSystem[];
}

/** Several times what a start takes that reads 100,000 endpoints on busy cores, or an end that waits for what is under way. */
const STEP_S_MAX = 120;
/** Redis and Kafka may have to be fetched and started first. */
const OPEN_S_MAX = 600;

/** `env`: settings beside the usual ones. `services`: Redis and Kafka that others use too. */
export async function openBenchSystem(
  set: BenchSet,
  env: Readonly<Record<string, string>>,
  services?: LocalServices,
): Promise<BenchSystem> {
  return set === "embedded" ? await openEmbeddedSystem(env) : await openDistributedSystem(env, services);
}

/** So many at once; those of the distributed set share one Redis and one Kafka. */
export async function openBenchSystems(set: BenchSet, count: number): Promise<BenchSystems> {
  await using opening = new AsyncDisposableStack();
  const services = set === "embedded" ? undefined : opening.use(await openBenchServices());
  const systems: BenchSystem[] = [];
  for (let index = 0; index < count; index += 1) systems.push(opening.use(await openBenchSystem(set, {}, services)));
  const opened = opening.move();
  return { systems, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

/** Of all processes together. */
export function cpuUsOf(usages: readonly Usage[]): number {
  return usages.reduce((sum, { cpuUs }) => sum + cpuUs, 0);
}

async function openEmbeddedSystem(env: Readonly<Record<string, string>>): Promise<BenchSystem> {
  const folder = mkdtempSync(join(tmpdir(), "posthaste-bench-"));
  const operatorKey = randomBytes(24).toString("hex");
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const forget = whenWeExit(remove);
  const settings = {
    POSTHASTE_DATA: folder,
    POSTHASTE_OPERATOR_KEY: operatorKey,
    POSTHASTE_ALLOW_CIDRS: "127.0.0.0/8",
    STOP_NOTICE_S: "0",
    ...env,
  };
  const open = () => within(STEP_S_MAX, "The start of the program", startProgram("serve", settings));
  let program = await open();
  return {
    get url() {
      return program.url;
    },
    post: (path, body, key) => poster(program.url, operatorKey)(path, body, key),
    settings,
    usages: () => [usageOf(program.pid)],
    stop: async (signal) => void (await within(STEP_S_MAX, `The end by ${signal}`, program.end(signal))),
    start: async () => void (program = await open()),
    async [Symbol.asyncDispose]() {
      await program.end("SIGKILL");
      remove();
      forget();
    },
  };
}

async function openDistributedSystem(
  env: Readonly<Record<string, string>>,
  services: LocalServices | undefined,
): Promise<BenchSystem> {
  const options = { gateways: 1, processors: 1, env };
  const opening = openDistributedBench(services === undefined ? options : { ...options, services });
  const bench = await within(OPEN_S_MAX, "The start of the programs", opening);
  const url = (): string => bench.gateways[0]?.url ?? "";
  const programs = () => [...bench.gateways, ...bench.processors];
  return {
    get url() {
      return url();
    },
    post: (path, body, key) => poster(url(), bench.operatorKey)(path, body, key),
    settings: bench.env,
    usages: () => programs().map(({ pid }) => usageOf(pid)),
    async stop(signal) {
      const ends = programs().map((program) => program.end(signal));
      await within(STEP_S_MAX, `The ends by ${signal}`, Promise.all(ends));
      bench.gateways.length = 0;
      bench.processors.length = 0;
    },
    async start() {
      await within(STEP_S_MAX, "The starts", Promise.all([bench.add("gateway"), bench.add("processor")]));
    },
    [Symbol.asyncDispose]: bench[Symbol.asyncDispose],
  };
}
