/** Queues seen from outside: depth and lag, what a full buffer dropped, loops that had to restart. */
import type { Meter } from "@opentelemetry/api";
import type { Clock } from "../lib/ambient.ts";
import type { Log } from "./log.ts";

export interface QueueSample {
  readonly queue: "high" | "medium" | "low" | "retry" | "dead";
  readonly depth: number;
  /** Age of the oldest waiting item in ms; null when none waits. */
  readonly lagMs: number | null;
}

export interface QueueTelemetry {
  /** Registers a reader that is asked at each collection. */
  observe(read: () => Promise<readonly QueueSample[]>): void;
  dropped(buffer: "ledger" | "stats", count: number): void;
  loopFailed(loop: string, error: unknown, delayMs: number): void;
}

/** A loop that fails again and again is logged no more often, and then says how often it failed. */
const LOOP_LOG_MS = 1000;

export function createQueueTelemetry({
  meter,
  log,
  clock,
}: {
  readonly meter: Meter;
  readonly log: Log;
  readonly clock: Pick<Clock, "monotonic">;
}): QueueTelemetry {
  /** Names are constants of the code. */
  const failuresByLoop = new Map<string, { loggedAtMs: number; unlogged: number }>();
  const depth = meter.createObservableGauge("posthaste.queue.depth", {
    unit: "{item}",
    description: "Items not yet settled",
  });
  const lag = meter.createObservableGauge("posthaste.queue.lag", {
    unit: "s",
    description: "Age of the oldest item waiting",
  });
  const drops = meter.createCounter("posthaste.projection.dropped", {
    unit: "{entry}",
    description: "Ledger or stats entries lost to a full buffer",
  });
  const restarts = meter.createCounter("posthaste.loop.restarts", {
    unit: "{restart}",
    description: "Worker loops that failed and began again",
  });
  return {
    observe(read) {
      meter.addBatchObservableCallback(
        async (result) => {
          for (const { queue, depth: count, lagMs } of await read()) {
            result.observe(depth, count, { queue });
            if (lagMs !== null) result.observe(lag, lagMs / 1000, { queue });
          }
        },
        [depth, lag],
      );
    },
    dropped(buffer, count) {
      drops.add(count, { buffer });
      log.write("error", "projection.dropped", { buffer, count });
    },
    loopFailed(loop, error, delayMs) {
      restarts.add(1, { loop });
      const nowMs = clock.monotonic();
      const before = failuresByLoop.get(loop);
      if (before !== undefined && nowMs - before.loggedAtMs < LOOP_LOG_MS) return void before.unlogged++;
      failuresByLoop.set(loop, { loggedAtMs: nowMs, unlogged: 0 });
      log.write("error", "loop.failed", {
        loop,
        error: error instanceof Error ? error.message : "unknown",
        retry_in_ms: Math.round(delayMs),
        ...(before === undefined || before.unlogged === 0 ? {} : { unlogged: before.unlogged }),
      });
    },
  };
}
