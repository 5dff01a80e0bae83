/** The embedded driver set on a temporary folder, with everything a subject needs; durable as in production. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hashApiKey } from "@posthaste/shared/domain/api-key.ts";
import { newId } from "@posthaste/shared/domain/id.ts";
import { parseOtlp } from "@posthaste/shared/domain/otlp-config.ts";
import { newSecret } from "@posthaste/shared/domain/signature.ts";
import { openEmbedded } from "@posthaste/shared/drivers/embedded.ts";
import { createJsonLog } from "@posthaste/shared/drivers/json-log.ts";
import { openOtel } from "@posthaste/shared/drivers/otel/open-otel.ts";
import { openMetrics } from "@posthaste/shared/drivers/metrics/metrics.ts";
import { createSealer, systemClock, systemEntropy, systemHasher } from "@posthaste/shared/drivers/system.ts";
import { createTelemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import { BENCH_KEY } from "../load.ts";

export const ambient = { clock: systemClock, entropy: systemEntropy, hasher: systemHasher };

export function openBenchDrivers() {
  const folder = mkdtempSync(join(tmpdir(), "posthaste-bench-"));
  const drivers = openEmbedded({ ...ambient, sealer: createSealer(systemEntropy.bytes(32)), database: { folder } });
  const log = createJsonLog({ clock: systemClock, level: "warn", write: (text) => void process.stderr.write(text) });
  const { otlp } = parseOtlp(process.env);
  const attributes = { "service.name": "bench" };
  const otel = otlp.traces === null ? null : openOtel({ clock: systemClock, log, config: otlp, attributes });
  const metrics = openMetrics(systemClock, attributes, otel?.readers);
  return {
    drivers,
    metrics,
    isTraced: otel !== null,
    lostSpans: () => otel?.spans?.lost() ?? {},
    telemetry: createTelemetry({
      meter: metrics.meter,
      log,
      ...ambient,
      logsDeliveries: true,
      spans: otel?.spans ?? null,
    }),
  };
}

type BenchDrivers = ReturnType<typeof openBenchDrivers>["drivers"];

export async function addEndpoint(
  drivers: BenchDrivers,
  url: string,
  { tenant, eventTypes } = { tenant: "default", eventTypes: ["*"] },
): Promise<void> {
  const nowMs = systemClock.now();
  await drivers.directory.create({
    id: newId("ep", nowMs, systemEntropy),
    tenant,
    url,
    eventTypes,
    description: "",
    headers: {},
    secrets: [{ secret: newSecret(systemEntropy), createdAtMs: nowMs, expiresAtMs: null }],
    retry: null,
    rateLimit: null,
    batch: null,
    status: "active",
    statusReason: null,
    statusSinceMs: null,
    trouble: null,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
  });
}

export async function addKey(drivers: BenchDrivers): Promise<void> {
  const nowMs = systemClock.now();
  await drivers.apiKeys.save({
    id: newId("key", nowMs, systemEntropy),
    hash: hashApiKey(BENCH_KEY, systemHasher),
    hint: "bench",
    name: "bench",
    tenant: null,
    scopes: ["publish", "manage", "read"],
    rateLimit: null,
    createdAtMs: nowMs,
    expiresAtMs: null,
    revokedAtMs: null,
  });
}
