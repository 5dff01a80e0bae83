/** The gateway's side: requests answered, events accepted, the auth cache. */
import type { Envelope } from "../domain/envelope.ts";
import { traceField } from "./log.ts";
import { createLogPace } from "./log-pace.ts";
import type { TelemetryParts } from "./parts.ts";
import { DURATION_BUCKETS_S } from "./buckets.ts";

export interface AcceptTelemetry {
  /** An event is durable, since `storingMs` after its append began, and about to be answered with 202. */
  accepted(envelope: Envelope, storingMs: number): void;
  /** A request was answered. `route` is the template, never the path; `reason` is what a 5xx does not tell its caller. */
  answered(request: {
    method: string;
    route: string;
    status: number;
    durationMs: number;
    code: string | null;
    reason: string | null;
    /** Asked for when a line is written. */
    trace: { readonly traceId: string };
  }): void;
  cache(name: "auth" | "directory" | "dns", isHit: boolean): void;
  /** Registers what is asked at each collection: requests that hold a place. */
  observe(inFlight: () => number): void;
}

export function createAcceptTelemetry({ meter, log, clock }: TelemetryParts): AcceptTelemetry {
  const failures = createLogPace(clock);
  const events = meter.createCounter("posthaste.events.accepted", {
    unit: "{event}",
    description: "Events made durable",
  });
  const storing = meter.createHistogram("posthaste.accept.duration", {
    unit: "s",
    description: "Time until an event is durable",
    advice: { explicitBucketBoundaries: DURATION_BUCKETS_S },
  });
  const refusals = meter.createCounter("posthaste.rate_limit.refusals", {
    unit: "{request}",
    description: "Requests answered 429",
  });
  const requests = meter.createHistogram("http.server.request.duration", {
    unit: "s",
    description: "Time from the request's head to its answer",
    advice: { explicitBucketBoundaries: DURATION_BUCKETS_S },
  });
  const caches = meter.createCounter("posthaste.cache.lookups", {
    unit: "{lookup}",
    description: "Cache hits and misses",
  });
  return {
    accepted(envelope, storingMs) {
      events.add(1, { priority: envelope.priority });
      storing.record(storingMs / 1000, { priority: envelope.priority });
      if (!log.isEnabled("debug")) return;
      log.write("debug", "event.accepted", {
        event_id: envelope.id,
        tenant: envelope.tenant,
        type: envelope.type,
        priority: envelope.priority,
        bytes: envelope.body.length,
        ...traceField(envelope.traceparent),
      });
    },
    answered({ method, route, status, durationMs, code, reason, trace }) {
      requests.record(durationMs / 1000, {
        "http.request.method": method,
        "http.route": route,
        "http.response.status_code": status,
      });
      if (status === 429) refusals.add(1, { code: code ?? "" });
      if (status >= 500) {
        const unlogged = failures.turn(`${method} ${route} ${status} ${code}`);
        if (unlogged === null) return;
        const others = unlogged === 0 ? {} : { unlogged };
        log.write("error", "request.failed", {
          method,
          route,
          status,
          code,
          reason,
          trace_id: trace.traceId,
          ...others,
        });
      } else if (status >= 400 && log.isEnabled("info"))
        log.write("info", "request.refused", { method, route, status, code, trace_id: trace.traceId });
    },
    observe(inFlight) {
      const active = meter.createObservableGauge("http.server.active_requests", {
        unit: "{request}",
        description: "Requests without an answer",
      });
      active.addCallback((result) => result.observe(inFlight()));
    },
    cache(name, isHit) {
      caches.add(1, { cache: name, result: isHit ? "hit" : "miss" });
    },
  };
}
