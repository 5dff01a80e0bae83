/** Endpoints as a whole: breakers, disabling, recovery. */
import type { Meter } from "@opentelemetry/api";
import type { EndpointStatus } from "../domain/endpoint.ts";
import type { Log } from "./log.ts";

export interface EndpointTelemetry {
  /** Registers what is asked at each collection: all endpoints by status, as they were last counted; null before that. */
  observe(read: () => Readonly<Record<EndpointStatus, number>> | null): void;
  breaker(endpointId: string, state: "open" | "half-open" | "closed"): void;
  disabled(endpointId: string, tenant: string, reason: string): void;
  /** What was held back for an endpoint goes out again. */
  recovered(endpointId: string, tenant: string, deliveries: number): void;
}

export function createEndpointTelemetry({ meter, log }: { meter: Meter; log: Log }): EndpointTelemetry {
  const changes = meter.createCounter("posthaste.breaker.transitions", {
    unit: "{transition}",
    description: "Endpoint breakers by new state",
  });
  const disabledEndpoints = meter.createCounter("posthaste.endpoints.disabled", {
    unit: "{endpoint}",
    description: "Endpoints disabled by us",
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
    recovered(endpointId, tenant, deliveries) {
      log.write("info", "endpoint.recovered", { endpoint_id: endpointId, tenant, deliveries });
    },
  };
}
