/** Attempts and what they led to. */
import type { Meter } from "@opentelemetry/api";
import type { AttemptResult } from "../domain/attempt.ts";
import type { DeliveryState } from "../domain/delivery.ts";
import type { Lane } from "../domain/event.ts";
import type { Clock } from "../lib/ambient.ts";
import type { Log } from "./log.ts";
import { DURATION_BUCKETS_S } from "./buckets.ts";
import { traceField } from "./log.ts";
import { createLogBudget } from "./log-pace.ts";

export interface DeliverySubject {
  readonly tenant: string;
  readonly eventId: string;
  readonly endpointId: string;
  readonly lane: Lane;
  readonly attempt: number;
  /** Of the event. */
  readonly traceparent: string | null;
}

/** What became of a delivery for now. */
export interface Settled {
  readonly state: DeliveryState;
  readonly reason: string | null;
  /** Counts from acceptance. */
  readonly sinceAcceptMs: number;
  /** Null: no further attempt is planned. */
  readonly nextAttemptAtMs: number | null;
}

/** Of deliveries that went well or go on, in one second; those past it are counted. `debug` has no such bound. */
const LINES_MAX = 1000;

export interface DeliveryTelemetry {
  attempted(subject: DeliverySubject, result: AttemptResult): void;
  settled(subject: DeliverySubject, settled: Settled): void;
  deferred(subject: DeliverySubject, why: string, delayMs: number): void;
  /** A repeat after a crash whose attempt the ledger already shows. */
  repeatSkipped(subject: DeliverySubject): void;
}

export function createDeliveryTelemetry(deps: {
  readonly meter: Meter;
  readonly log: Log;
  readonly clock: Pick<Clock, "monotonic">;
  /** False: only what did not arrive is logged at info; the rest is at debug. */
  readonly logsDeliveries: boolean;
}): DeliveryTelemetry {
  const { meter, log } = deps;
  const budget = createLogBudget(deps.clock, LINES_MAX);
  const routine = deps.logsDeliveries ? "info" : "debug";
  const attempts = meter.createHistogram("http.client.request.duration", {
    unit: "s",
    description: "Time of one delivery attempt",
    advice: { explicitBucketBoundaries: DURATION_BUCKETS_S },
  });
  const outcomes = meter.createCounter("posthaste.deliveries", {
    unit: "{delivery}",
    description: "Deliveries by state",
  });
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
    settled(subject, { state, reason, sinceAcceptMs, nextAttemptAtMs }) {
      outcomes.add(1, { lane: subject.lane, outcome: state });
      if (state === "delivered") ages.record(sinceAcceptMs / 1000, { lane: subject.lane });
      const isRoutine = state === "delivered" || state === "retrying";
      const level = isRoutine ? routine : "warn";
      if (!log.isEnabled(level)) return;
      const unlogged = isRoutine && !log.isEnabled("debug") ? budget.turn() : 0;
      if (unlogged === null) return;
      log.write(level, `delivery.${state}`, {
        event_id: subject.eventId,
        endpoint_id: subject.endpointId,
        tenant: subject.tenant,
        lane: subject.lane,
        attempt: subject.attempt,
        reason,
        since_accept_ms: Math.round(sinceAcceptMs),
        ...traceField(subject.traceparent),
        ...(nextAttemptAtMs === null ? {} : { next_attempt_at: new Date(nextAttemptAtMs).toISOString() }),
        ...(unlogged === 0 ? {} : { unlogged }),
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
        ...traceField(subject.traceparent),
      });
    },
    repeatSkipped({ lane }) {
      repeats.add(1, { lane });
    },
  };
}
