/** Queues seen from outside: depth and lag, what a full buffer dropped, loops that had to restart. */
import { reasonOf } from "../domain/errors.ts";
import { increaseOf } from "../lib/increase-of.ts";
import { createLogPace } from "./log-pace.ts";
import type { TelemetryParts } from "./parts.ts";

export interface QueueSample {
  readonly queue: "high" | "medium" | "low" | "retry" | "dead" | "spool" | "ledger";
  readonly depth: number;
  /** Age of the oldest waiting item in ms; null when none waits. */
  readonly lagMs: number | null;
}

export interface QueueTelemetry {
  /** Registers a reader that is asked at each collection. */
  observe(read: () => Promise<readonly QueueSample[]>): void;
  /** The oldest item of a queue waits for longer than it should. */
  lagging(sample: QueueSample): void;
  /** And does no more. */
  caughtUp(sample: QueueSample): void;
  /** Registers a reader of how many entries of the ledger were lost since the start; asked at each collection, whoever collects. */
  observeLost(count: () => number): void;
  loopFailed(loop: string, error: unknown, delayMs: number): void;
  /** The process did not run for so long at least. */
  stoodStill(ms: number): void;
  /** A record or row that could not be read was put aside; `keptBytes` of its `bytes` are kept. */
  quarantined(record: {
    readonly topic: string;
    readonly partition: number;
    readonly offset: number;
    readonly reason: string;
    readonly bytes: number;
    readonly keptBytes: number;
  }): void;
}

export function createQueueTelemetry({ meter, log, clock }: TelemetryParts): QueueTelemetry {
  const failures = createLogPace(clock);
  const poison = createLogPace(clock);
  const depth = meter.createObservableGauge("posthaste.queue.depth", {
    unit: "{item}",
    description: "Items not yet settled",
  });
  const lag = meter.createObservableGauge("posthaste.queue.lag", {
    unit: "s",
    description: "Age of the oldest item waiting",
  });
  const drops = meter.createObservableCounter("posthaste.projection.dropped", {
    unit: "{entry}",
    description: "Ledger or stats entries lost to a full buffer",
  });
  const restarts = meter.createCounter("posthaste.loop.restarts", {
    unit: "{restart}",
    description: "Worker loops that failed and began again",
  });
  const standstills = meter.createCounter("posthaste.process.standstills", {
    unit: "{standstill}",
    description: "Times that the process stood still: suspended, stopped or starved",
  });
  const quarantined = meter.createCounter("posthaste.quarantine.records", {
    unit: "{record}",
    description: "Records that could not be read and were put aside",
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
    lagging: ({ queue, depth: count, lagMs }) =>
      log.write("warn", "queue.lagging", { queue, depth: count, lag_s: Math.round((lagMs ?? 0) / 1000) }),
    caughtUp: ({ queue, depth: count }) => log.write("info", "queue.caught-up", { queue, depth: count }),
    observeLost(count) {
      const newlyLost = increaseOf(count);
      drops.addCallback((result) => {
        const lost = newlyLost();
        if (lost > 0) log.write("error", "projection.dropped", { buffer: "ledger", count: lost });
        result.observe(count(), { buffer: "ledger" });
      });
    },
    loopFailed(loop, error, delayMs) {
      restarts.add(1, { loop });
      const unlogged = failures.turn(loop);
      if (unlogged === null) return;
      log.write("error", "loop.failed", {
        loop,
        error: reasonOf(error),
        retry_in_ms: Math.round(delayMs),
        ...(unlogged === 0 ? {} : { unlogged }),
      });
    },
    stoodStill(ms) {
      standstills.add(1);
      log.write("warn", "process.stood-still", { for_ms: Math.round(ms) });
    },
    quarantined({ topic, partition, offset, reason, bytes, keptBytes }) {
      quarantined.add(1, { topic });
      const unlogged = poison.turn(topic);
      if (unlogged === null) return;
      log.write("error", "record.quarantined", {
        topic,
        place: `${partition}:${offset}`,
        reason,
        bytes,
        kept_bytes: keptBytes,
        ...(unlogged === 0 ? {} : { unlogged }),
      });
    },
  };
}
