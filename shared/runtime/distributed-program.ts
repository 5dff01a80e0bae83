/** What a gateway and a processor of the distributed set have in common: settings, ambient things, drivers, telemetry. */
import { parseCidrs } from "../domain/address-guard.ts";
import type { Environment } from "../domain/config.ts";
import { ConfigError, parseConfig } from "../domain/config.ts";
import type { DescriptorPlan } from "../domain/descriptor-plan.ts";
import { planDescriptors, tooFewDescriptors } from "../domain/descriptor-plan.ts";
import { parseDistributed } from "../domain/distributed-config.ts";
import type { Clock, Entropy, Hasher, Sealer } from "../lib/ambient.ts";
import type { Log } from "../telemetry/log.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { DistributedDrivers, DistributedRole } from "../drivers/distributed.ts";
import { descriptorLimit } from "../drivers/descriptor-limit.ts";
import { openDistributed } from "../drivers/distributed.ts";
import type { HttpTransportOptions } from "../drivers/http/transport.ts";
import { createJsonLog } from "../drivers/json-log.ts";
import { observeProgram } from "./observe-program.ts";
import { openTelemetry } from "./open-telemetry.ts";
import { createStreamSink } from "./stream-sink.ts";
import type { Metrics } from "../drivers/metrics/metrics.ts";
import { createSealer, systemClock, systemEntropy, systemHasher } from "../drivers/system.ts";

export interface DistributedProgram<Transport> extends AsyncDisposable {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly hasher: Hasher;
  readonly sealer: Sealer;
  readonly drivers: DistributedDrivers;
  readonly transport: Transport;
  readonly telemetry: Telemetry;
  readonly log: Log;
  readonly collectMetrics: Metrics["collect"];
  readonly descriptors: DescriptorPlan;
}

/** Attempts in flight of a processor whose descriptors suffice. */
const ATTEMPTS_MAX = 512;

/** `openTransport` makes what the role has of a transport. Throws `ConfigError` for wrong settings, a plain Error that names the setting for a store that cannot be used. */
export async function openDistributedProgram<Transport extends AsyncDisposable>(
  role: DistributedRole,
  environment: Environment,
  openTransport: (options: HttpTransportOptions) => Transport,
): Promise<DistributedProgram<Transport>> {
  const config = parseConfig(environment);
  const distributed = parseDistributed(environment);
  if (distributed === null || config.masterKey === null) {
    throw new ConfigError([
      `REDIS_URL and KAFKA_BROKERS are not set, and the ${role} needs both. \`npm run services\` starts a Redis and a Kafka and prints them; \`npm start\` needs neither and does everything in one process.`,
    ]);
  }
  const descriptors = planFor(role);
  await using opening = new AsyncDisposableStack();
  const ambient = { clock: systemClock, entropy: systemEntropy, hasher: systemHasher };
  const lines = createJsonLog({
    clock: systemClock,
    level: config.logLevel,
    write: createStreamSink(process.stdout),
  });
  const { telemetry, metrics } = opening.use(await openTelemetry(`posthaste-${role}`, config, lines));
  const { log } = telemetry;
  const allow = config.allowCidrs ?? parseCidrs("");
  const transport = opening.use(
    openTransport({
      clock: systemClock,
      allow,
      // All attempts in flight may go to one origin: endpoints that share it must not wait for each other's sockets.
      connectionsMax: Math.max(1, descriptors.attemptsMax),
      socketsMax: descriptors.deliverySocketsMax,
      client: config.httpClient,
      nameServers: config.nameServers,
      onLookUp: (isKnown) => telemetry.accept.cache("dns", isKnown),
    }),
  );
  const sealer = createSealer(config.masterKey, { previous: config.masterKeyPrevious, next: config.masterKeyNext });
  const drivers = opening.use(
    await openDistributed({
      ...ambient,
      role,
      config: distributed,
      claimBytesMax: config.claimBytesMax,
      sealer,
      onWarning: (warning) => log.write("warn", "store.warning", { warning }),
      stores: telemetry.store,
      limits: telemetry.limit,
      onQuarantined: (record) => telemetry.queue.quarantined(record),
      onCache: (isHit) => telemetry.accept.cache("auth", isHit),
    }),
  );
  opening.use(observeProgram({ drivers, telemetry, clock: systemClock, countsEndpoints: role === "processor" }));
  telemetry.store.observe(drivers.gauges);
  telemetry.queue.observeLost(() => drivers.lostCount());
  const opened = opening.move();
  return {
    ...ambient,
    sealer,
    drivers,
    transport,
    telemetry,
    log,
    descriptors,
    collectMetrics: (format) => metrics.collect(format),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

function planFor(role: DistributedRole): DescriptorPlan {
  const limit = descriptorLimit();
  const servesApi = role === "gateway";
  const plan = planDescriptors(limit, { delivers: !servesApi, servesApi, attemptsMax: ATTEMPTS_MAX });
  if (plan === null) throw new ConfigError([tooFewDescriptors(limit)]);
  return plan;
}
