/** Which ways around something that is away are in use. */
import type { Meter } from "@opentelemetry/api";

export interface Fallbacks {
  /** Names are constants of the code. */
  set(fallback: string, isInForce: boolean): void;
}

export function createFallbacks(meter: Meter): Fallbacks {
  const isInForceOf = new Map<string, boolean>();
  const gauge = meter.createObservableGauge("posthaste.fallbacks", {
    unit: "{fallback}",
    description: "1 while a way around something that is away is in use",
  });
  gauge.addCallback((result) => {
    for (const [fallback, isInForce] of isInForceOf) result.observe(isInForce ? 1 : 0, { fallback });
  });
  return { set: (fallback, isInForce) => void isInForceOf.set(fallback, isInForce) };
}
