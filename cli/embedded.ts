/**
 * The embedded Posthaste: gateway and processor over one data folder in one process. What is opened here is closed in
 * the opposite order, and also when a later step of the opening fails.
 */
import { createGateway } from "@posthaste/gateway/app.ts";
import { limitsFor as gatewayLimitsFor } from "@posthaste/gateway/request/deps.ts";
import { createStartGate } from "@posthaste/gateway/start-gate.ts";
import { startAlerts } from "@posthaste/processor/alerts/alerts.ts";
import { countingFailures } from "@posthaste/processor/alerts/measures.ts";
import { createEndpointLookup } from "@posthaste/processor/endpoint/lookup.ts";
import { limitsFor as processorLimitsFor, PROCESSOR_LIMITS } from "@posthaste/processor/limits.ts";
import type { Processor } from "@posthaste/processor/processor.ts";
import { startProcessor } from "@posthaste/processor/processor.ts";
import { parseCidrs } from "@posthaste/shared/domain/address-guard.ts";
import type { Config } from "@posthaste/shared/domain/config.ts";
import { ConfigError } from "@posthaste/shared/domain/config.ts";
import { isDamage, isStoreUnavailable } from "@posthaste/shared/domain/errors.ts";
import type { PortalLook } from "@posthaste/shared/domain/portal-config.ts";
import type { DescriptorPlan } from "@posthaste/shared/domain/descriptor-plan.ts";
import { planDescriptors, tooFewDescriptors } from "@posthaste/shared/domain/descriptor-plan.ts";
import { descriptorLimit } from "@posthaste/shared/drivers/descriptor-limit.ts";
import type { EmbeddedDrivers, EmbeddedOptions } from "@posthaste/shared/drivers/embedded.ts";
import { openEmbedded } from "@posthaste/shared/drivers/embedded.ts";
import type { Listening } from "@posthaste/shared/drivers/http/server/serve.ts";
import { serveHttp } from "@posthaste/shared/drivers/http/server/serve.ts";
import { explained } from "@posthaste/shared/drivers/sqlite/database.ts";
import { diskBounds } from "@posthaste/shared/drivers/sqlite/disk-bounds.ts";
import { openHttpTransport } from "@posthaste/shared/drivers/http/transport.ts";
import type { LogSink } from "@posthaste/shared/drivers/json-log.ts";
import { createJsonLog } from "@posthaste/shared/drivers/json-log.ts";
import type { Metrics } from "@posthaste/shared/drivers/metrics/metrics.ts";
import { openTelemetry } from "@posthaste/shared/runtime/open-telemetry.ts";
import { createSealer, systemClock, systemEntropy, systemHasher } from "@posthaste/shared/drivers/system.ts";
import { SealBroken } from "@posthaste/shared/lib/ambient.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { Ledger } from "@posthaste/shared/ports/ledger.ts";
import type { Transport } from "@posthaste/shared/ports/transport.ts";
import { observeProgram } from "@posthaste/shared/runtime/observe-program.ts";
import type { Level } from "@posthaste/shared/telemetry/log.ts";
import type { Telemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import type { Attempted } from "./attempt-line.ts";
import { attemptsOf } from "./attempt-line.ts";
import { openBackupSocket } from "./backup-socket.ts";
import type { MasterKey } from "./master-key.ts";
import { openMasterKey } from "./master-key.ts";
import { ensureEmbeddedKey } from "./operator-key.ts";
import { openDashboard, signInUrl } from "./embedded-dashboard.ts";
import { makePrivateFolder } from "./private-file.ts";

export interface PosthasteOptions {
  readonly config: Config;
  readonly portal: PortalLook;
  /** Loopback may be called unless the settings say otherwise, and the operator key is kept in the data folder. */
  readonly isDev: boolean;
  readonly logLevel: Level;
  readonly writeLog: LogSink;
  /** Shows an operator key that is stored nowhere but as a hash. */
  readonly showKeyOnce: (key: string) => void;
  /** Told of each attempt once its outcome is recorded, with the endpoint's URL where it is known. Must not throw. */
  readonly onAttempt?: (attempted: Attempted, url: string | null) => void;
}

export interface Posthaste extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly drivers: Drivers;
  /** Null when only its hash is known. */
  readonly operatorKey: string | null;
  /** Signs in to the dashboard with the operator key, once, within the hour; null when only the key's hash is known. */
  readonly dashboardUrl: string | null;
}

/** The loopback of RFC 1122 section 3.2.1.3 and RFC 4291 section 2.5.3. */
const LOOPBACK = "127.0.0.0/8,::1/128";
const ONE_PROCESS =
  "GATEWAY_PROCESSES must be 1 here, or left out: one process owns the database in the data folder. More of them take REDIS_URL and KAFKA_BROKERS, and `npm run gateway`";
const ambient = { clock: systemClock, entropy: systemEntropy, hasher: systemHasher };
/** A stop waits this long for requests in flight; a little longer than the gateway's own budget for one. */
const REQUESTS_END_MS = 11_000;

export async function openPosthaste(options: PosthasteOptions): Promise<Posthaste> {
  const { config, isDev } = options;
  const descriptors = planFor(config);
  await using opening = new AsyncDisposableStack();
  makePrivateFolder(config.dataFolder);
  const masterKey = openMasterKey({ folder: config.dataFolder, config, entropy: systemEntropy });
  const lines = createJsonLog({ clock: systemClock, level: options.logLevel, write: options.writeLog });
  const { telemetry, metrics } = opening.use(await openTelemetry("posthaste", config, lines));
  const { log } = telemetry;
  const transport = opening.use(openTransport(options, descriptors, telemetry));
  const sealer = createSealer(masterKey.bytes, masterKey.further);
  const drivers = opening.use(
    openDrivers(masterKey, {
      ...ambient,
      sealer,
      database: { folder: config.dataFolder },
      bounds: diskBounds(config.dataFolder, config.claimBytesMax),
      onFault: faultsTo(telemetry),
    }),
  );
  const backups = await openBackupSocket(config.dataFolder, drivers);
  if (backups === null) log.write("warn", "backup.unavailable", { data_folder: config.dataFolder });
  else opening.use(backups);
  opening.use(observeProgram({ drivers, telemetry, clock: systemClock, countsEndpoints: true }));
  telemetry.queue.observeLost(() => drivers.lostCount());
  const gateway = createGateway({
    ...ambient,
    drivers,
    transport,
    telemetry,
    catalogue: config.catalogue,
    collectMetrics: createCollector(metrics, drivers, telemetry),
    dashboard: openDashboard(drivers, sealer, options.portal),
    // Reads keep the one event loop busy.
    limits: { ...gatewayLimitsFor(descriptors.inboundMax), readsMax: 1 },
  });
  const gate = createStartGate(gateway.fetch);
  const { host, port } = config;
  const wish = { host, port, portSetting: "PORT", connectionsMax: descriptors.inboundMax };
  const listening = await serveHttp({ ...wish, clock: systemClock, fetch: gate.fetch });
  opening.defer(() => listening.kill());
  // Only now: a start that cannot listen shows and stores no key.
  const operatorKey = await ensureKey(options, drivers);
  gate.open();
  const counted = countingFailures(telemetry);
  const processor = startProcessor({
    ...ambient,
    drivers: options.onAttempt === undefined ? drivers : withAttemptsTold(drivers, options.onAttempt),
    transport,
    telemetry: counted.telemetry,
    limits: { ...processorLimitsFor(descriptors.attemptsMax), disableAfterMs: config.disableAfterMs },
  });
  opening.use(startAlerts({ ...ambient, ...counted, drivers, rules: config.alertRules }));
  log.write("info", "server.listening", { url: listening.url, data_folder: config.dataFolder });
  const opened = opening.move();
  return {
    url: listening.url,
    port: listening.port,
    drivers,
    operatorKey,
    dashboardUrl: signInUrl(listening.url, operatorKey, sealer),
    async [Symbol.asyncDispose]() {
      log.write("info", "server.stopping", {});
      const noticeMs = isDev ? 0 : config.stopNoticeMs;
      const unfinished = await stopServing({ gateway, listening, processor, noticeMs });
      if (unfinished.length > 0) telemetry.store.unfinished(unfinished);
      await opened.disposeAsync();
      log.write("info", "server.stopped", {});
    },
  };
}

function openTransport(
  { config, isDev }: PosthasteOptions,
  descriptors: DescriptorPlan,
  { accept }: Telemetry,
): Transport {
  return openHttpTransport({
    clock: systemClock,
    allow: config.allowCidrs ?? (isDev ? parseCidrs(LOOPBACK) : []),
    // All attempts in flight may go to one origin: endpoints that share it must not wait for each other's sockets.
    connectionsMax: descriptors.attemptsMax,
    socketsMax: descriptors.deliverySocketsMax,
    client: config.httpClient,
    nameServers: config.nameServers,
    onLookUp: (isKnown) => accept.cache("dns", isKnown),
  });
}

/** It is the first that the start writes: what the disk says to that is told as for the opening, with the remedy. */
async function ensureKey(
  { config, isDev, showKeyOnce }: PosthasteOptions,
  { apiKeys }: Drivers,
): Promise<string | null> {
  const { dataFolder: folder, operatorKey: setting } = config;
  try {
    return await ensureEmbeddedKey({ ...ambient, apiKeys, folder, setting, isDev, showOnce: showKeyOnce });
  } catch (error) {
    throw isStoreUnavailable(error) ? explained(error.cause ?? error, folder) : error;
  }
}

function faultsTo({ store, log }: Telemetry): (error: unknown) => void {
  return (error) => {
    if (isDamage(error)) store.fault("sqlite", error);
    else log.write("error", "listener.failed", { error: messageOf(error) });
  };
}

/** Gateway and processor share the one process and its descriptors. */
function planFor({ gatewayProcesses }: Config): DescriptorPlan {
  if (gatewayProcesses > 1) throw new ConfigError([ONE_PROCESS]);
  const limit = descriptorLimit();
  const plan = planDescriptors(limit, { delivers: true, servesApi: true, attemptsMax: PROCESSOR_LIMITS.inFlightMax });
  if (plan === null) throw new ConfigError([tooFewDescriptors(limit)]);
  return plan;
}

/** Secrets that do not open say too little by themselves: the reader learns which key was used, and the ways out. */
function openDrivers(masterKey: MasterKey, options: EmbeddedOptions): EmbeddedDrivers {
  try {
    return openEmbedded(options);
  } catch (error) {
    throw error instanceof SealBroken ? new Error(masterKey.mismatch, { cause: error }) : error;
  }
}

/** What the processor records passes by here. */
function withAttemptsTold(drivers: Drivers, onAttempt: NonNullable<PosthasteOptions["onAttempt"]>): Drivers {
  const lookup = createEndpointLookup(drivers.directory);
  const ledger: Ledger = {
    ...drivers.ledger,
    record(entries) {
      drivers.ledger.record(entries);
      for (const attempted of attemptsOf(entries)) {
        const { tenant, endpointId } = attempted.delivery;
        onAttempt(attempted, lookup.peek(tenant, endpointId, 0)?.url ?? null);
      }
    },
  };
  return { ...drivers, ledger };
}

/** No new request and no new attempt, both at once; what is unfinished, which is told, stays in its lane for the next start. */
async function stopServing(parts: {
  gateway: { stop(): void };
  listening: Listening;
  processor: Processor;
  noticeMs: number;
}): Promise<readonly string[]> {
  const { gateway, listening, processor, noticeMs } = parts;
  gateway.stop();
  const listened = listening.stopWithin(noticeMs, REQUESTS_END_MS, systemClock);
  const [cut, unfinished] = await Promise.all([listened, processor.stop()]);
  return cut === 0 ? unfinished : [...unfinished, `${cut} requests had no answer after ${REQUESTS_END_MS} ms`];
}

/** Telemetry is told how the folder is whenever it is asked. */
function createCollector(metrics: Metrics, drivers: EmbeddedDrivers, telemetry: Telemetry): Metrics["collect"] {
  return async (format) => {
    telemetry.store.watched("sqlite", (await drivers.health().catch(() => "")) === null);
    return await metrics.collect(format);
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
