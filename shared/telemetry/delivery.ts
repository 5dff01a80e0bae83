/** Attempts and what they led to. */
import type { Meter } from "@opentelemetry/api";
import type { AttemptResult } from "../domain/attempt.ts";
import type { DeliveryState } from "../domain/delivery.ts";
import type { Lane } from "../domain/event.ts";
import type { Log } from "./log.ts";
import { DURATION_BUCKETS_S } from "./buckets.ts";
import { createTally } from "./tally.ts";

export interface DeliverySubject {
  readonly tenant: string;
  readonly eventId: string;
  readonly endpointId: string;
  readonly lane: Lane;
  readonly attempt: number;
}

export interface DeliveryTelemetry {
  attempted(subject: DeliverySubject, result: AttemptResult): void;
  /** The delivery is in `state` now; `sinceAcceptMs` counts from acceptance. */
  settled(subject: DeliverySubject, state: DeliveryState, reason: string | null, sinceAcceptMs: number): void;
  deferred(subject: DeliverySubject, why: string, delayMs: number): void;
  /** A repeat after a crash whose attempt the ledger already shows. */
  repeatSkipped(subject: DeliverySubject): void;
}

export function createDeliveryTelemetry({ meter, log }: { meter: Meter; log: Log }): DeliveryTelemetry {
  const attempts = meter.createHistogram("http.client.request.duration", {
    unit: "s",
    description: "Time of one delivery attempt",
    advice: { explicitBucketBoundaries: DURATION_BUCKETS_S },
  });
  const outcomes = createTally(
    meter,
    "posthaste.deliveries",
    { unit: "{delivery}", description: "Deliveries by state" },
    ["lane", "outcome"],
  );
  const ages = meter.createHistogram("posthaste.delivery.duration", {
    unit: "s",
    description: "Time from acceptance to the 2xx",
    advice: { explicitBucketBoundaries: DURATION_BUCKETS_S },
  });
  const deferrals = meter.createCounter("posthaste.retry.parked", {
    unit: "{delivery}",
    description: "Deliveries deferred without an attempt",
  });
  const repeats = meter.createCounter("posthaste.retry.skipped", {
    unit: "{delivery}",
    description: "Repeats skipped as done",
  });
  return {
    attempted({ lane }, result) {
      const status =
        result.kind === "answered" ? { "http.response.status_code": result.status } : { "error.type": result.fault };
      attempts.record(result.durationMs / 1000, { "http.request.method": "POST", lane, ...status });
    },
    settled(subject, state, reason, sinceAcceptMs) {
      outcomes.add(subject.lane, state);
      if (state === "delivered") ages.record(sinceAcceptMs / 1000, { lane: subject.lane });
      const level = state === "delivered" ? "debug" : state === "retrying" ? "info" : "warn";
      if (!log.isEnabled(level)) return;
      log.write(level, `delivery.${state}`, {
        event_id: subject.eventId,
        endpoint_id: subject.endpointId,
        tenant: subject.tenant,
        lane: subject.lane,
        attempt: subject.attempt,
        reason,
        since_accept_ms: Math.round(sinceAcceptMs),
      });
    },
    deferred(subject, why, delayMs) {
      deferrals.add(1, { lane: subject.lane, why });
      if (!log.isEnabled("debug")) return;
      log.write("debug", "delivery.parked", {
        event_id: subject.eventId,
        endpoint_id: subject.endpointId,
        tenant: subject.tenant,
        why,
        delay_ms: delayMs,
      });
    },
    repeatSkipped({ lane }) {
      repeats.add(1, { lane });
    },
  };
}
