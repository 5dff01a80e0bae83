/** The distributed driver set on the Redis and the Kafka of the environment, as a program of either role opens it. */
import { parseConfig } from "@posthaste/shared/domain/config.ts";
import { parseDistributed } from "@posthaste/shared/domain/distributed-config.ts";
import type { DistributedRole } from "@posthaste/shared/drivers/distributed.ts";
import { openDistributed } from "@posthaste/shared/drivers/distributed.ts";
import { createJsonLog } from "@posthaste/shared/drivers/json-log.ts";
import { openMetrics } from "@posthaste/shared/drivers/metrics/metrics.ts";
import { createSealer, systemClock } from "@posthaste/shared/drivers/system.ts";
import { createTelemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import { ambient } from "./open-embedded.ts";

/** Its log goes to standard error: standard output is the conversation with the bench. */
export async function openDistributedDrivers(role: DistributedRole) {
  const config = parseDistributed(process.env);
  const { masterKey } = parseConfig(process.env);
  if (config === null || masterKey === null)
    throw new Error("REDIS_URL, KAFKA_BROKERS and POSTHASTE_MASTER_KEY are needed");
  const log = createJsonLog({ clock: systemClock, level: "error", write: (text) => void process.stderr.write(text) });
  const { meter } = openMetrics(systemClock, { "service.name": `bench-${role}` });
  const telemetry = createTelemetry({ meter, log, ...ambient, logsDeliveries: true, spans: null });
  const drivers = await openDistributed({
    ...ambient,
    role,
    config,
    claimBytesMax: null,
    sealer: createSealer(masterKey),
    onWarning: (warning) => log.write("warn", "store.warning", { warning }),
    stores: telemetry.store,
    limits: telemetry.limit,
    onQuarantined: (record) => telemetry.queue.quarantined(record),
    onCache: (isHit) => telemetry.accept.cache("auth", isHit),
  });
  return { drivers, telemetry };
}
