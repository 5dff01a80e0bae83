/**
 * A gateway's surroundings where there is no process: settings, log, and a driver set for each request. Between requests nothing
 * runs and nothing is open. What is counted is counted nowhere, for nobody could ask each of the instances that come and go.
 */
import { createNoopMeter } from "@opentelemetry/api";
import { parseCidrs } from "../domain/address-guard.ts";
import type { Environment } from "../domain/config.ts";
import { parseConfig } from "../domain/config.ts";
import type { CatalogueRules } from "../domain/event-types.ts";
import { REST_URL, parseEdge } from "../domain/edge-config.ts";
import { PosthasteError, storeFault } from "../domain/errors.ts";
import type { EdgeDrivers } from "../drivers/edge.ts";
import { createEdgeDrivers } from "../drivers/edge.ts";
import { createEdgeCheck } from "../drivers/edge/check.ts";
import { createEdgeMemory } from "../drivers/edge/memory.ts";
import { untilSilence } from "../drivers/edge/until-silence.ts";
import { vetAtEdge } from "../drivers/edge/vet.ts";
import { openHttpRedis } from "../drivers/redis/client/http-commands.ts";
import { createKeySpace } from "../drivers/redis/client/key-space.ts";
import { createSealer, systemClock, systemEntropy, systemHasher } from "../drivers/system.ts";
import type { Log } from "../telemetry/log.ts";
import { createLineLog } from "../drivers/edge/line-log.ts";
import { createTelemetry } from "../telemetry/telemetry.ts";
import type { Transport } from "../ports/transport.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";

export interface EdgeProgram {
  readonly clock: typeof systemClock;
  readonly entropy: typeof systemEntropy;
  readonly hasher: typeof systemHasher;
  readonly telemetry: Telemetry;
  readonly transport: Pick<Transport, "vet">;
  readonly log: Log;
  readonly catalogue: CatalogueRules;
  /** For one request. */
  createDrivers(): EdgeDrivers;
  collectMetrics(): Promise<string>;
}

/** Asks nothing yet. Throws `ConfigError` for wrong settings. */
export function createEdgeProgram(environment: Environment): EdgeProgram {
  const config = parseConfig(environment);
  const edge = parseEdge(environment);
  const ambient = { clock: systemClock, entropy: systemEntropy, hasher: systemHasher };
  const log = createLineLog({ clock: systemClock, level: config.logLevel, write: (line) => console.log(line) });
  const telemetry = createTelemetry({
    ...ambient,
    meter: createNoopMeter(),
    log,
    logsDeliveries: config.logsDeliveries,
    spans: null,
  });
  const keys = createKeySpace({ shards: edge.redisShards, prefix: edge.redisPrefix });
  const sealer = createSealer(config.masterKey ?? new Uint8Array(), {
    previous: config.masterKeyPrevious,
    next: config.masterKeyNext,
  });
  const memory = createEdgeMemory(systemClock);
  const redis = openHttpRedis({
    address: edge.redisRest,
    name: REST_URL,
    // As a method of nothing, which is how runtimes want it called.
    fetch: (url, init) => fetch(url, init),
    clock: systemClock,
    time: "server",
  });
  const { claimBytesMax } = config;
  const check = createEdgeCheck({ keys, sealer });
  return {
    ...ambient,
    telemetry,
    log,
    catalogue: config.catalogue,
    transport: { vet: vetAtEdge(config.allowCidrs ?? parseCidrs("")) },
    createDrivers() {
      const commands = { health: redis.health, run: untilSilence(redis.run) };
      const drivers = createEdgeDrivers({
        ...ambient,
        commands,
        keys,
        memory,
        sealer,
        bounds: { spoolBytesMax: edge.spoolBytesMax, ...(claimBytesMax === null ? {} : { claimBytesMax }) },
        onCache: (isHit) => telemetry.accept.cache("auth", isHit),
        onFault: (error) => telemetry.store.fault("redis", error),
        onLost: (count) => log.write("error", "projection.dropped", { buffer: "ledger", count }),
      });
      return {
        ...drivers,
        apiKeys: { ...drivers.apiKeys, find: afterCheck(() => check(commands), drivers.apiKeys.find) },
      };
    },
    collectMetrics: () =>
      Promise.reject(
        new PosthasteError("not-at-edge", "Instances at the edge come and go, and none counts for all: read its logs."),
      ),
  };
}

/** Keys are looked up at the same time; none is accepted before. */
function afterCheck(check: () => Promise<void>, find: EdgeDrivers["apiKeys"]["find"]): EdgeDrivers["apiKeys"]["find"] {
  return async (hash) => {
    const [found, checked] = await Promise.allSettled([find(hash), check()]);
    // In another deployment's Redis, keys are not found, too.
    if (checked.status === "rejected") throw refusalOf(checked.reason);
    if (found.status === "rejected") throw found.reason;
    return found.value;
  };
}

/** What is wrong with the settings is for the log alone. */
function refusalOf(error: unknown): PosthasteError {
  return error instanceof PosthasteError ? error : storeFault(error instanceof Error ? error.message : String(error));
}
