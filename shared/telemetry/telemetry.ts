/**
 * All that Posthaste measures and logs, one helper per business event, gathered per subject. A helper never throws and
 * costs a few counter additions; it is one line at the call site. Metric names follow OpenTelemetry semantic
 * conventions 1.44 (HTTP stable, messaging in development); ours begin with `posthaste.`.
 */
import type { Meter } from "@opentelemetry/api";
import type { Clock, Entropy } from "../lib/ambient.ts";
import type { Log } from "./log.ts";
import type { AcceptTelemetry } from "./accept.ts";
import type { DeliveryTelemetry } from "./delivery.ts";
import type { EndpointTelemetry } from "./endpoint.ts";
import type { LimitTelemetry } from "./limit.ts";
import type { Losses } from "./losses.ts";
import type { ProcessTelemetry } from "./process.ts";
import type { ProcessorTelemetry } from "./processor.ts";
import type { QueueTelemetry } from "./queue.ts";
import type { SpanSink } from "./spans.ts";
import type { StoreTelemetry } from "./store.ts";
import type { TailTelemetry } from "./tail.ts";
import type { TraceTelemetry } from "./trace.ts";
import { createAcceptTelemetry } from "./accept.ts";
import { createDeliveryTelemetry } from "./delivery.ts";
import { createEndpointTelemetry } from "./endpoint.ts";
import { createFallbacks } from "./fallbacks.ts";
import { createLimitTelemetry } from "./limit.ts";
import { countLosses } from "./losses.ts";
import { createProcessTelemetry } from "./process.ts";
import { createProcessorTelemetry } from "./processor.ts";
import { createQueueTelemetry } from "./queue.ts";
import { createRequestTrace } from "./request-trace.ts";
import { createStoreTelemetry } from "./store.ts";
import { createTailTelemetry } from "./tail.ts";
import { createTraceTelemetry } from "./trace.ts";
import { silentLog } from "./log.ts";

export interface Telemetry {
  readonly accept: AcceptTelemetry;
  readonly processor: ProcessorTelemetry;
  readonly process: ProcessTelemetry;
  readonly delivery: DeliveryTelemetry;
  readonly endpoint: EndpointTelemetry;
  readonly queue: QueueTelemetry;
  readonly store: StoreTelemetry;
  readonly limit: LimitTelemetry;
  readonly tail: TailTelemetry;
  readonly trace: TraceTelemetry;
  readonly log: Log;
}

export function createTelemetry(deps: {
  readonly meter: Meter;
  readonly log: Log;
  readonly clock: Pick<Clock, "now" | "monotonic">;
  readonly entropy: Entropy;
  readonly logsDeliveries: boolean;
  /** Null: no spans are made. */
  readonly spans: SpanSink | null;
  /** Log records that no collector got since the start; null when none are exported. */
  readonly lostLogs?: (() => Losses) | null;
}): Telemetry {
  countLosses(deps.meter, "posthaste.logs.lost", LOST_LOGS, deps.lostLogs ?? null);
  const fallbacks = createFallbacks(deps.meter);
  return {
    accept: createAcceptTelemetry(deps),
    processor: createProcessorTelemetry(deps),
    process: createProcessTelemetry(deps),
    delivery: createDeliveryTelemetry(deps),
    endpoint: createEndpointTelemetry(deps),
    queue: createQueueTelemetry(deps),
    store: createStoreTelemetry({ ...deps, fallbacks }),
    limit: createLimitTelemetry({ ...deps, fallbacks }),
    tail: createTailTelemetry(deps),
    trace: createTraceTelemetry(deps),
    log: deps.log,
  };
}

const LOST_LOGS = { unit: "{record}", description: "Log records that no collector got" } as const;

const nothing = () => undefined;
const ZEROS: Entropy = { bytes: (count) => new Uint8Array(count), fraction: () => 0 };

/** For tests and simulations that look at facts instead. */
export const silentTelemetry: Telemetry = {
  accept: { accepted: nothing, answered: nothing, cache: nothing, observe: nothing },
  processor: { observe: nothing, processed: nothing },
  process: { delayed: nothing },
  delivery: { attempted: nothing, settled: nothing, deferred: nothing, repeatSkipped: nothing },
  endpoint: {
    observe: nothing,
    breaker: nothing,
    disabled: nothing,
    failing: nothing,
    well: nothing,
    announced: nothing,
    announcementLost: nothing,
    recovered: nothing,
  },
  queue: {
    observe: nothing,
    lagging: nothing,
    caughtUp: nothing,
    observeLost: nothing,
    loopFailed: nothing,
    stoodStill: nothing,
    quarantined: nothing,
  },
  store: {
    watched: nothing,
    observe: nothing,
    wrote: nothing,
    read: nothing,
    away: nothing,
    back: nothing,
    fault: nothing,
    unfinished: nothing,
  },
  limit: { local: nothing, shared: nothing, decided: nothing },
  tail: { opened: nothing, ended: nothing, lost: nothing },
  trace: {
    request: (headers) => createRequestTrace(null, ZEROS, headers),
    answered: nothing,
    carried: ({ given, state }) => ({ traceparent: given, tracestate: state }),
    sent: nothing,
    replayed: nothing,
    fannedOut: nothing,
    ofAttempt: ({ members: [first] }) => ({
      traceparent: first?.traceparent ?? null,
      tracestate: first?.tracestate ?? null,
      place: null,
    }),
    attempted: nothing,
    handedOver: nothing,
  },
  log: silentLog,
};
