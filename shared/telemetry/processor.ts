/** What a processor has in hand, and how long it takes. */
import type { Meter } from "@opentelemetry/api";
import type { Lane } from "../domain/event.ts";
import { DURATION_BUCKETS_S } from "./buckets.ts";

export type ProcessorQueue = Lane | "retry";

/** Of one process, at one moment. */
export interface ProcessorSample {
  /** Attempts in flight. */
  readonly inFlight: Readonly<Record<Lane, number>>;
  /** Deliveries that wait in the process for their endpoint. */
  readonly waiting: number;
  /** Which part of the window of a queue is held; 1 is full. */
  readonly windowFill: Readonly<Record<ProcessorQueue, number>>;
  /** Endpoints whose breaker is not closed. */
  readonly breakers: Readonly<Record<"open" | "half-open", number>>;
  /** Deliveries that this process has deferred and that are not due yet. */
  readonly deferred: number;
  /** Acceptance of the oldest that is deferred, or was taken from the retry queue and has not ended, in epoch ms; null: none. */
  readonly oldestDeferredAtMs: number | null;
}

export interface ProcessorTelemetry {
  /** Registers what is asked at each collection. `now` is epoch ms. */
  observe(read: () => ProcessorSample, now: () => number): void;
  /** An item was worked on, from its take to its end. */
  processed(queue: ProcessorQueue, ending: "settled" | "released", durationMs: number): void;
}

export function createProcessorTelemetry({ meter }: { readonly meter: Meter }): ProcessorTelemetry {
  const processing = meter.createHistogram("posthaste.processing.duration", {
    unit: "s",
    description: "Time from the take of an item to its end in the processor",
    advice: { explicitBucketBoundaries: DURATION_BUCKETS_S },
  });
  return {
    observe: (read, now) => observe(meter, read, now),
    processed: (queue, ending, durationMs) => processing.record(durationMs / 1000, { queue, ending }),
  };
}

function observe(meter: Meter, read: () => ProcessorSample, now: () => number): void {
  const gauge = (name: string, unit: string, description: string) =>
    meter.createObservableGauge(name, { unit, description });
  const inFlight = gauge("posthaste.delivery.in_flight", "{delivery}", "Attempts in flight");
  const waiting = gauge(
    "posthaste.delivery.waiting",
    "{delivery}",
    "Deliveries that wait in the process for their endpoint",
  );
  const fill = gauge("posthaste.window.fill", "1", "Part of a queue's window that is held");
  const breakers = gauge("posthaste.breaker.endpoints", "{endpoint}", "Endpoints whose breaker is not closed");
  const deferred = gauge("posthaste.retry.deferred", "{delivery}", "Deliveries deferred and not due yet");
  const age = gauge(
    "posthaste.retry.deferred_age",
    "s",
    "Age of the oldest delivery that is deferred or back from it, from its acceptance",
  );
  meter.addBatchObservableCallback(
    (result) => {
      const sample = read();
      for (const [lane, count] of Object.entries(sample.inFlight)) result.observe(inFlight, count, { lane });
      result.observe(waiting, sample.waiting);
      for (const [queue, part] of Object.entries(sample.windowFill)) result.observe(fill, part, { queue });
      for (const [state, count] of Object.entries(sample.breakers)) result.observe(breakers, count, { state });
      result.observe(deferred, sample.deferred);
      const { oldestDeferredAtMs: atMs } = sample;
      if (atMs !== null) result.observe(age, Math.max(0, now() - atMs) / 1000);
    },
    [inFlight, waiting, fill, breakers, deferred, age],
  );
}
