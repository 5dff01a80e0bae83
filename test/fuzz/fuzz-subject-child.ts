/**
 * The program that is fuzzed: gateway and processor over HTTP in one process, on the set that FUZZ_SET names, with what
 * production has but for the name servers, which are a table. It answers lines on its standard input: `census` with what
 * lives in its memory after a collection, `crashes` with the errors that nobody expected, `stop` once it has stopped in order.
 */
// First of all: it counts what every Map and Set holds that is made after it.
import { countMaps } from "../support/map-census.ts";
import { createInterface } from "node:readline";
import { heapStats } from "bun:jsc";
import { openDashboard } from "posthaste/embedded-dashboard.ts";
import { createGateway } from "@posthaste/gateway/app.ts";
import { DEFAULT_LIMITS } from "@posthaste/gateway/request/deps.ts";
import { ensureOperatorKey } from "@posthaste/gateway/resources/operator-key.ts";
import { createInitializer } from "@posthaste/processor/initializer.ts";
import { PROCESSOR_LIMITS } from "@posthaste/processor/limits.ts";
import { startProcessor } from "@posthaste/processor/processor.ts";
import { parseCidrs } from "@posthaste/shared/domain/address-guard.ts";
import { PLAIN_PORTAL } from "@posthaste/shared/domain/portal-config.ts";
import { parseDistributed } from "@posthaste/shared/domain/distributed-config.ts";
import type { DistributedRole } from "@posthaste/shared/drivers/distributed.ts";
import { openDistributed } from "@posthaste/shared/drivers/distributed.ts";
import { openEmbedded } from "@posthaste/shared/drivers/embedded.ts";
import type { Resolution } from "@posthaste/shared/drivers/http/resolver.ts";
import { serveHttp } from "@posthaste/shared/drivers/http/server/serve.ts";
import { openHttpTransport } from "@posthaste/shared/drivers/http/transport.ts";
import { createJsonLog } from "@posthaste/shared/drivers/json-log.ts";
import { openMetrics } from "@posthaste/shared/drivers/metrics/metrics.ts";
import { createSealer, systemClock, systemEntropy, systemHasher } from "@posthaste/shared/drivers/system.ts";
import { assert } from "@posthaste/shared/lib/assert.ts";
import type { Drivers, StartStep } from "@posthaste/shared/ports/drivers.ts";
import { createTelemetry, silentTelemetry } from "@posthaste/shared/telemetry/telemetry.ts";

const { env } = process;
/** Objects that are kept of each request, for the proof that a run sees it. */
const leakPerRequest = Number(env["FUZZ_LEAK"] ?? "0");
const settings = { folder: env["FUZZ_FOLDER"] ?? "", key: env["FUZZ_KEY"] ?? "" };
const ambient = { clock: systemClock, entropy: systemEntropy, hasher: systemHasher };
/** One for all starts on the same data. */
const sealer = createSealer(new Uint8Array(32).fill(11));
const crashes: string[] = [];
const CRASHES_KEPT = 20;
let isStarted = false;

function noteCrash(what: string, error: unknown): void {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  if (crashes.length < CRASHES_KEPT) crashes.push(`${what}: ${text}`);
  process.stderr.write(`${what}: ${text}\n`);
}
process.on("unhandledRejection", (error) => noteCrash("unhandled rejection", error));
process.on("uncaughtException", (error) => {
  noteCrash("uncaught exception", error);
  if (!isStarted) process.exit(1);
});

/** `*.inside.test` has a private address, `*.silent.test` no answer, `*.none.test` no address, all others this machine's. */
function resolve(name: string): Promise<Resolution> {
  if (name.endsWith(".inside.test")) return found("10.0.0.7");
  if (name.endsWith(".none.test")) return Promise.resolve({ kind: "none", reason: "the name does not resolve" });
  if (name.endsWith(".silent.test")) return Promise.resolve({ kind: "unanswered", reason: "no name server answers" });
  return found("127.0.0.1");
}

function found(address: string): Promise<Resolution> {
  return Promise.resolve({ kind: "found", addresses: [address], ttlMs: 60_000 });
}

interface Opened extends AsyncDisposable {
  readonly gateway: Drivers;
  readonly processor: Drivers;
  readonly steps: readonly StartStep[];
}

async function openDrivers(stores: Parameters<typeof openDistributed>[0]["stores"]): Promise<Opened> {
  if (env["FUZZ_SET"] === "embedded") {
    const database = { folder: settings.folder };
    const onFault = (error: unknown): void => noteCrash("driver fault", error);
    const drivers = openEmbedded({ ...ambient, sealer, database, onFault });
    return { gateway: drivers, processor: drivers, steps: [], [Symbol.asyncDispose]: drivers[Symbol.asyncDispose] };
  }
  const config = parseDistributed(env);
  assert(config !== null, "the distributed set is fuzzed with its stores named");
  const open = (role: DistributedRole) =>
    openDistributed({
      ...ambient,
      sealer,
      role,
      config,
      stores,
      limits: silentTelemetry.limit,
      claimBytesMax: null,
      onWarning: () => undefined,
      onQuarantined: ({ reason }) => noteCrash("quarantined", reason),
      onCache: () => undefined,
    });
  const [gateway, processor] = [await open("gateway"), await open("processor")];
  return {
    gateway,
    processor,
    steps: processor.steps,
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await processor[Symbol.asyncDispose]();
    },
  };
}

const metrics = openMetrics(systemClock, {});
const log = createJsonLog({ clock: systemClock, level: "info", write: noteLogged });
const telemetry = createTelemetry({ meter: metrics.meter, log, ...ambient, logsDeliveries: true, spans: null });

/** What only a bug logs; the text is that of a tick, with many lines. */
function noteLogged(text: string): undefined {
  for (const [line] of text.matchAll(/^.*"event":"(?:request\.crashed|loop\.failed|store\.fault)".*$/gm)) {
    noteCrash("logged", line.slice(0, 600));
  }
}

const transport = openHttpTransport({
  clock: systemClock,
  allow: parseCidrs("127.0.0.0/8"),
  connectionsMax: PROCESSOR_LIMITS.inFlightMax,
  resolve,
});
const drivers = await openDrivers(telemetry.store);
await ensureOperatorKey({ ...ambient, apiKeys: drivers.gateway.apiKeys }, settings.key, () => undefined);
const shared = { ...ambient, transport, telemetry };
const collectMetrics = metrics.collect.bind(metrics);
const dashboard = openDashboard(drivers.gateway, sealer, PLAIN_PORTAL);
const gateway = createGateway({
  ...shared,
  drivers: drivers.gateway,
  collectMetrics,
  limits: DEFAULT_LIMITS,
  dashboard,
});
const listening = await serveHttp({
  clock: systemClock,
  host: "127.0.0.1",
  port: 0,
  portSetting: "PORT",
  connectionsMax: 1024,
  fetch: leakPerRequest === 0 ? gateway.fetch : leaking(gateway.fetch),
});
const { steps } = drivers;
await createInitializer({ ...ambient, steps, onFailure: () => undefined }).run(new AbortController().signal);
const processor = startProcessor({ ...shared, drivers: drivers.processor, limits: { ...PROCESSOR_LIMITS, stopMs: 0 } });

function leaking(fetch: typeof gateway.fetch): typeof gateway.fetch {
  const kept: object[] = [];
  return (...given) => {
    for (let each = 0; each < leakPerRequest; each++) kept.push({});
    return fetch(...given);
  };
}

function tell(facts: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(facts)}\n`);
}

function census(): Record<string, unknown> {
  const held = Object.fromEntries(countMaps());
  Bun.gc(true);
  const { objectCount, objectTypeCounts } = heapStats();
  const { rss, heapUsed } = process.memoryUsage();
  return { objectCount, objectTypeCounts, held, rss, heapUsed };
}

/** A census counts what is kept, and not the work of a replay of hundreds; what hangs is waited for no longer than this. */
async function fewUnderWay(): Promise<void> {
  const [most, untilMs] = [20, systemClock.monotonic() + 5000];
  const { signal } = new AbortController();
  while (processor.outstanding() > most && systemClock.monotonic() < untilMs) await systemClock.sleep(20, signal);
}

isStarted = true;
tell({ port: listening.port });
for await (const line of createInterface({ input: process.stdin })) {
  if (line === "stop") break;
  if (line === "census") await fewUnderWay();
  tell(line === "census" ? census() : { crashes });
}
gateway.stop();
await Promise.all([listening.stopWithin(0, 11_000, systemClock), processor.stop()]);
await drivers[Symbol.asyncDispose]();
await transport[Symbol.asyncDispose]();
tell({ crashes });
process.exit(0);
