/** What a program measures, logs and traces, and where it goes: opened before all else, and closed after it. */
import { randomUUID } from "node:crypto";
import type { Config } from "../domain/config.ts";
import { VERSION } from "../domain/version.ts";
import type { Metrics } from "../drivers/metrics/metrics.ts";
import { openMetrics } from "../drivers/metrics/metrics.ts";
import type { Otel, OtelOptions } from "../drivers/otel/open-otel.ts";
import { systemClock, systemEntropy } from "../drivers/system.ts";
import type { Log } from "../telemetry/log.ts";
import { bothLogs } from "../telemetry/log.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { createTelemetry } from "../telemetry/telemetry.ts";

export interface OpenTelemetry extends AsyncDisposable {
  /** Its log goes to `log`, and to a collector where that is asked for. */
  readonly telemetry: Telemetry;
  readonly metrics: Metrics;
}

/** `service` is the program's name unless its operator gives another. Disposing exports what waits, in bounded time. */
export async function openTelemetry(service: string, config: Config, log: Log): Promise<OpenTelemetry> {
  const attributes = {
    "service.name": service,
    "service.version": VERSION,
    "service.instance.id": randomUUID(),
    ...config.resourceAttributes,
  };
  await using opening = new AsyncDisposableStack();
  const otel = await openOtelIfAsked({ clock: systemClock, log, config: config.otlp, attributes });
  if (otel !== null) opening.use(otel);
  const metrics = opening.use(openMetrics(systemClock, attributes, otel?.readers));
  const telemetry = createTelemetry({
    meter: metrics.meter,
    log: otel?.logs == null ? log : bothLogs(log, otel.logs.log),
    clock: systemClock,
    entropy: systemEntropy,
    logsDeliveries: config.logsDeliveries,
    spans: otel?.spans ?? null,
    lostLogs: otel?.logs?.lost ?? null,
  });
  const opened = opening.move();
  return { telemetry, metrics, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

/** The SDK is not even loaded where nothing is exported. */
async function openOtelIfAsked(options: OtelOptions): Promise<Otel | null> {
  const { traces, metrics, logs } = options.config;
  if (traces === null && metrics === null && logs === null) return null;
  const { openOtel } = await import("../drivers/otel/open-otel.ts");
  return openOtel(options);
}
