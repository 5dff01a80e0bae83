/** The rate limiter of the distributed set while its store cannot be asked. */
import type { Meter } from "@opentelemetry/api";
import { reasonOf } from "../domain/errors.ts";
import type { FailureMode } from "../domain/key-rate-limit.ts";
import type { Fallbacks } from "./fallbacks.ts";
import type { Log } from "./log.ts";

const FALLBACK = "local-limits";

export interface LimitTelemetry {
  /** From now on the process decides by itself. */
  local(reason: unknown): void;
  /** The store is asked again. */
  shared(localMs: number): void;
  /** A call was decided without the store. */
  decided(mode: FailureMode): void;
}

export function createLimitTelemetry(parts: { meter: Meter; log: Log; fallbacks: Fallbacks }): LimitTelemetry {
  const { meter, log, fallbacks } = parts;
  const decisions = meter.createCounter("posthaste.rate_limit.fallbacks", {
    unit: "{decision}",
    description: "Rate limits decided by a process alone",
  });
  return {
    local(reason) {
      fallbacks.set(FALLBACK, true);
      log.write("warn", "limiter.local", { reason: reasonOf(reason) });
    },
    shared(localMs) {
      fallbacks.set(FALLBACK, false);
      log.write("warn", "limiter.shared", { local_ms: Math.round(localMs) });
    },
    decided: (mode) => decisions.add(1, { failure_mode: mode }),
  };
}
