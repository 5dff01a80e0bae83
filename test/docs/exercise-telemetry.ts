/** Calls every helper of the telemetry, over a meter and a log that remember what they were asked for. */
import type { AttemptResult } from "@posthaste/shared/domain/attempt.ts";
import type { DeliveryState } from "@posthaste/shared/domain/delivery.ts";
import { storeFault } from "@posthaste/shared/domain/errors.ts";
import type { Envelope } from "@posthaste/shared/domain/envelope.ts";
import type { Level } from "@posthaste/shared/telemetry/log.ts";
import { systemEntropy } from "@posthaste/shared/drivers/system.ts";
import type { SpanSink } from "@posthaste/shared/telemetry/spans.ts";
import type { Telemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import { sampleEndpoint } from "../support/samples.ts";
import { createTelemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import type { Metrics } from "@posthaste/shared/drivers/metrics/metrics.ts";

type Meter = Metrics["meter"];

export interface Instrument {
  readonly name: string;
  readonly type: string;
  readonly unit: string;
}

export interface LogEvent {
  readonly level: Level;
  readonly event: string;
}

/** The meter itself, but that each instrument made with it is remembered, whatever kind it is. */
export function recordingMeter(meter: Meter): { readonly meter: Meter; instruments(): readonly Instrument[] } {
  const made: Instrument[] = [];
  const recording = new Proxy(meter, {
    get(target, property) {
      const member: unknown = Reflect.get(target, property);
      if (typeof member !== "function") return member;
      const kind = /^create(?:Observable)?(\w+)$/.exec(String(property))?.[1];
      return (...args: readonly unknown[]): unknown => {
        if (kind !== undefined) {
          const options = args[1] as { readonly unit?: string } | undefined;
          made.push({ name: String(args[0]), type: kind.toLowerCase(), unit: options?.unit ?? "" });
        }
        return Reflect.apply(member, target, args);
      };
    },
  });
  return { meter: recording, instruments: () => made };
}

/** The states that a delivery is settled in; the others are only shown by the ledger. */
const SETTLED_STATES = [
  "delivered",
  "retrying",
  "dead",
  "paused",
  "disabled",
  "backlog",
] as const satisfies readonly DeliveryState[];

const SUBJECT = {
  tenant: "acme",
  eventId: "evt_1",
  endpointId: "ep_1",
  lane: "high",
  attempt: 1,
  traceparent: null,
  tracestate: null,
} as const;
const ENVELOPE: Envelope = {
  id: "evt_1",
  tenant: "acme",
  type: "invoice.paid",
  priority: "HIGH",
  acceptedAtMs: 0,
  deliverAtMs: null,
  traceparent: null,
  tracestate: null,
  directoryVersion: 1,
  body: new Uint8Array(),
};
const ANSWER: AttemptResult = {
  kind: "answered",
  status: 200,
  retryAfter: null,
  bodyExcerpt: "",
  isBodyCut: false,
  durationMs: 1,
};
const SPANS: SpanSink = {
  isSampled: () => true,
  record: () => undefined,
  lost: () => ({ "queue-full": 1, "not-exported": 1 }),
};
const FAULT: AttemptResult = { kind: "fault", fault: "timeout", detail: "no answer", durationMs: 1 };

/** Resolves nothing and waits for nothing; gives back what was logged. `called` hears `subject.helper`. */
export function exerciseTelemetry(meter: Meter, called: (name: string) => void = () => undefined): readonly LogEvent[] {
  const logged: LogEvent[] = [];
  const log = { isEnabled: () => true, write: (level: Level, event: string) => void logged.push({ level, event }) };
  const telemetry = createTelemetry({
    meter,
    log,
    clock: { now: () => 0, monotonic: () => 0 },
    entropy: systemEntropy,
    logsDeliveries: true,
    spans: SPANS,
    lostLogs: () => SPANS.lost(),
  });
  const accept = listened(telemetry, "accept", called);
  accept.accepted(ENVELOPE, 1);
  accept.observe(() => 1);
  for (const status of [202, 422, 429, 503]) {
    const request = { method: "POST", route: "/v1/events", status, durationMs: 1, code: null };
    accept.answered({ ...request, reason: null, trace: { traceId: "0" } });
  }
  accept.cache("auth", true);
  exerciseDeliveries(telemetry, called);
  exerciseStores(telemetry, called);
  const tail = listened(telemetry, "tail", called);
  tail.opened();
  tail.ended("slow-reader");
  tail.lost(1);
  exerciseTrace(listened(telemetry, "trace", called));
  return logged;
}

function exerciseDeliveries(telemetry: Telemetry, called: (name: string) => void): void {
  const delivery = listened(telemetry, "delivery", called);
  delivery.attempted(SUBJECT, ANSWER);
  delivery.attempted(SUBJECT, FAULT);
  for (const state of SETTLED_STATES)
    delivery.settled(SUBJECT, {
      state,
      reason: null,
      sinceAcceptMs: 1,
      nextAttemptAtMs: state === "retrying" ? 1 : null,
    });
  delivery.deferred(SUBJECT, "busy", 1000);
  delivery.repeatSkipped(SUBJECT);
  const processor = listened(telemetry, "processor", called);
  const fill = { high: 0, medium: 0.5, low: 1, retry: 0 };
  const held = { high: 1, medium: 0, low: 0 };
  const breakers = { open: 1, "half-open": 0 };
  const sample = { inFlight: held, waiting: 1, windowFill: fill, breakers, deferred: 1, oldestDeferredAtMs: 0 };
  processor.observe(
    () => sample,
    () => 1000,
  );
  processor.processed("low", "settled", 1);
  listened(telemetry, "process", called).delayed(1);
  exerciseEndpoint(listened(telemetry, "endpoint", called));
}

function exerciseStores(telemetry: Telemetry, called: (name: string) => void): void {
  const queue = listened(telemetry, "queue", called);
  queue.observe(async () => [{ queue: "high", depth: 1, lagMs: 1 }]);
  queue.lagging({ queue: "spool", depth: 1, lagMs: 60_000 });
  queue.caughtUp({ queue: "spool", depth: 0, lagMs: null });
  queue.observeLost(() => 1);
  queue.loopFailed("lane high", new Error("Redis is away"), 1);
  queue.stoodStill(60_000);
  queue.quarantined({ topic: "medium", partition: 0, offset: 1, reason: "no value", bytes: 2, keptBytes: 2 });
  const store = listened(telemetry, "store", called);
  store.watched("redis", true);
  store.observe({
    consumerLag: async () => [{ group: "lanes.low", topic: "low", partition: 0, records: 1, ageMs: 1 }],
    memory: async () => [{ store: "redis", usedBytes: 1, maxBytes: 2 }],
  });
  store.wrote("low", 1, 100);
  store.read("low", 1, 100);
  const meanwhile = "HIGH goes through Kafka.";
  store.away("redis", { reason: "Redis does not answer.", cause: new Error("read ECONNRESET"), meanwhile });
  store.back("redis", 1000, 3);
  store.fault("redis", new Error("a script failed"));
  store.fault("redis", storeFault("A record does not read back.", { isDamage: true }));
  store.unfinished(['2 writes of "retry"']);
  const limit = listened(telemetry, "limit", called);
  limit.local(new Error("Redis does not answer."));
  limit.decided("local");
  limit.shared(1000);
}

function exerciseTrace(trace: Telemetry["trace"]): void {
  const request = trace.request({ traceparent: null, tracestate: null });
  const path = "/v1/events";
  trace.answered(request, { method: "POST", route: path, path, status: 202, code: null, durationMs: 1 });
  const carried = trace.carried(request, { tenant: "acme", id: "evt_1", index: 0 });
  const envelope = { ...ENVELOPE, ...carried };
  trace.sent(request, envelope, { index: 0, startMs: 0, failure: undefined });
  trace.fannedOut({ envelope, startMs: 0, matchedCount: 1, filteredCount: 0, isRepeat: false });
  const { tenant, endpointId, attempt } = SUBJECT;
  const delivery = { tenant, endpointId, attempt, generation: 0, members: [envelope], group: null };
  trace.replayed(request, { ...delivery, generation: 1 });
  const made = trace.ofAttempt(delivery, () => false);
  trace.attempted(delivery, made, { endpoint: sampleEndpoint("ep_1"), result: FAULT, milestones: [] });
  trace.handedOver(delivery, () => false, { state: "dead", reason: null, isAttempted: true, nextAttemptAtMs: null });
}

function exerciseEndpoint(endpoint: Telemetry["endpoint"]): void {
  endpoint.observe(() => ({ active: 1, paused: 0, disabled: 0 }));
  endpoint.breaker("ep_1", "open");
  endpoint.breaker("ep_1", "closed");
  endpoint.disabled("ep_1", "acme", "the receiver answered 410 Gone");
  endpoint.failing("ep_1", "acme", 0);
  endpoint.well("ep_1", "acme", 1000);
  endpoint.announced("posthaste.endpoint.failing");
  endpoint.announcementLost("posthaste.endpoint.failing", "acme", new Error("Kafka is away"));
  endpoint.recovered("ep_1", "acme", 1);
}

function listened<
  Subject extends
    | "accept"
    | "delivery"
    | "endpoint"
    | "limit"
    | "process"
    | "processor"
    | "queue"
    | "store"
    | "tail"
    | "trace",
>(telemetry: Telemetry, subject: Subject, called: (name: string) => void): Telemetry[Subject] {
  return new Proxy(telemetry[subject], {
    get(target, property) {
      called(`${subject}.${String(property)}`);
      return Reflect.get(target, property) as unknown;
    },
  });
}
