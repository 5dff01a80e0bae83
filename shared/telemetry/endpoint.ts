/** Endpoints as a whole: breakers, disabling, recovery. */
import type { EndpointStatus } from "../domain/endpoint.ts";
import { reasonOf } from "../domain/errors.ts";
import { createLogPace } from "./log-pace.ts";
import type { TelemetryParts } from "./parts.ts";

export interface EndpointTelemetry {
  /** Registers what is asked at each collection: all endpoints by status, as they were last counted; null before that. */
  observe(read: () => Readonly<Record<EndpointStatus, number>> | null): void;
  breaker(endpointId: string, state: "open" | "half-open" | "closed"): void;
  disabled(endpointId: string, tenant: string, reason: string): void;
  /** No attempt succeeded since then, for half of the time after which it is disabled. */
  failing(endpointId: string, tenant: string, sinceMs: number): void;
  /** And one did, after so long. */
  well(endpointId: string, tenant: string, failedForMs: number): void;
  /** An event of our own is durable. */
  announced(type: string): void;
  /** Or could not be made so. */
  announcementLost(type: string, tenant: string, error: unknown): void;
  /** What was held back for an endpoint goes out again. */
  recovered(endpointId: string, tenant: string, deliveries: number): void;
}

export function createEndpointTelemetry({ meter, log, clock }: TelemetryParts): EndpointTelemetry {
  const losses = createLogPace(clock);
  const changes = meter.createCounter("posthaste.breaker.transitions", {
    unit: "{transition}",
    description: "Endpoint breakers by new state",
  });
  const disabledEndpoints = meter.createCounter("posthaste.endpoints.disabled", {
    unit: "{endpoint}",
    description: "Endpoints disabled by us",
  });
  const announcements = meter.createCounter("posthaste.announcements", {
    unit: "{event}",
    description: "Events of our own, to tenants and to the operator",
  });
  return {
    observe(read) {
      const endpoints = meter.createObservableGauge("posthaste.endpoints", {
        unit: "{endpoint}",
        description: "Endpoints by status",
      });
      endpoints.addCallback((result) => {
        for (const [status, count] of Object.entries(read() ?? {})) result.observe(count, { status });
      });
    },
    breaker(endpointId, state) {
      changes.add(1, { state });
      log.write(state === "open" ? "warn" : "info", `breaker.${state}`, { endpoint_id: endpointId });
    },
    disabled(endpointId, tenant, reason) {
      disabledEndpoints.add(1);
      log.write("warn", "endpoint.disabled", { endpoint_id: endpointId, tenant, reason });
    },
    failing(endpointId, tenant, sinceMs) {
      const since = new Date(sinceMs).toISOString();
      log.write("warn", "endpoint.failing", { endpoint_id: endpointId, tenant, since });
    },
    well(endpointId, tenant, failedForMs) {
      const failed_for_s = Math.round(failedForMs / 1000);
      log.write("info", "endpoint.well", { endpoint_id: endpointId, tenant, failed_for_s });
    },
    announced(type) {
      announcements.add(1, { type, result: "accepted" });
    },
    announcementLost(type, tenant, error) {
      announcements.add(1, { type, result: "lost" });
      const unlogged = losses.turn(type);
      if (unlogged === null) return;
      const others = unlogged === 0 ? {} : { unlogged };
      log.write("warn", "announcement.lost", { type, tenant, error: reasonOf(error), ...others });
    },
    recovered(endpointId, tenant, deliveries) {
      log.write("info", "endpoint.recovered", { endpoint_id: endpointId, tenant, deliveries });
    },
  };
}
