/** The process itself. */
import type { Meter } from "@opentelemetry/api";
import { DURATION_BUCKETS_S } from "./buckets.ts";

export interface ProcessTelemetry {
  /** What was to be done at a time was done so much later, since the event loop was busy. */
  delayed(ms: number): void;
}

export function createProcessTelemetry({ meter }: { readonly meter: Meter }): ProcessTelemetry {
  const delays = meter.createHistogram("posthaste.event_loop.delay", {
    unit: "s",
    description: "How late timers are",
    advice: { explicitBucketBoundaries: DURATION_BUCKETS_S },
  });
  return { delayed: (ms) => delays.record(ms / 1000) };
}
