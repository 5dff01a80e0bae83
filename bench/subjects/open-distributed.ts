/** The distributed driver set on the Redis and the Kafka of the environment, as a program of either role opens it. */
import { parseConfig } from "@posthaste/shared/domain/config.ts";
import { parseDistributed } from "@posthaste/shared/domain/distributed-config.ts";
import type { DistributedRole } from "@posthaste/shared/drivers/distributed.ts";
import { openDistributed } from "@posthaste/shared/drivers/distributed.ts";
import { openDistributedStores } from "@posthaste/shared/drivers/distributed/stores.ts";
import { createJsonLog } from "@posthaste/shared/drivers/json-log.ts";
import { openMetrics } from "@posthaste/shared/drivers/metrics/metrics.ts";
import { createSealer, systemClock } from "@posthaste/shared/drivers/system.ts";
import { createTelemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import { ambient } from "./open-embedded.ts";

export async function openDistributedDrivers(role: DistributedRole) {
  const { telemetry, ...shared } = optionsOf(role);
  const drivers = await openDistributed({
    ...shared,
    role,
    stores: telemetry.store,
    limits: telemetry.limit,
    onQuarantined: (record) => telemetry.queue.quarantined(record),
  });
  return { drivers, telemetry };
}

/** What of it lies in Redis, for who writes there without a queue; `onLost` gets how many entries of the ledger Redis did not take in time. */
export async function openBenchStores(onLost: (count: number) => void) {
  const { telemetry, ...shared } = optionsOf("gateway");
  return await openDistributedStores({
    ...shared,
    onFault: () => undefined,
    onCacheFault: () => undefined,
    onLost,
    limits: { processes: 1, events: telemetry.limit },
    wasUsed: () => Promise.resolve(false),
  });
}

/** Its log goes to standard error: standard output is the conversation with the bench. */
function optionsOf(role: DistributedRole) {
  const config = parseDistributed(process.env);
  const { masterKey } = parseConfig(process.env);
  if (config === null || masterKey === null)
    throw new Error("REDIS_URL, KAFKA_BROKERS and POSTHASTE_MASTER_KEY are needed");
  const log = createJsonLog({ clock: systemClock, level: "error", write: (text) => void process.stderr.write(text) });
  const { meter } = openMetrics(systemClock, { "service.name": `bench-${role}` });
  const telemetry = createTelemetry({ meter, log, ...ambient, logsDeliveries: true, spans: null });
  return {
    ...ambient,
    config,
    claimBytesMax: null,
    sealer: createSealer(masterKey),
    onWarning: (warning: string) => log.write("warn", "store.warning", { warning }),
    onCache: (isHit: boolean) => telemetry.accept.cache("auth", isHit),
    telemetry,
  };
}
