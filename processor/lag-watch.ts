/** Warns of queues that are behind: once when one begins to lag, once when it has caught up. */
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import { lookRepeatedly } from "@posthaste/shared/lib/look-repeatedly.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import { readQueues } from "@posthaste/shared/ports/queue-samples.ts";
import type { QueueSample, QueueTelemetry } from "@posthaste/shared/telemetry/queue.ts";

/** Age of the oldest item from which on a queue lags. What waits for a retry waits by plan, a dead letter for people. */
export const LAG_MS: Readonly<Partial<Record<QueueSample["queue"], number>>> = {
  high: 10_000,
  medium: 5 * 60_000,
  low: 15 * 60_000,
  spool: 60_000,
  ledger: 5 * 60_000,
};
/** Between two looks. */
export const LAG_LOOK_MS = 30_000;

export function watchLag(options: {
  readonly drivers: Pick<Drivers, "lanes" | "retryQueue" | "deadLetters" | "spool" | "missedLedger">;
  readonly telemetry: Pick<QueueTelemetry, "lagging" | "caughtUp">;
  readonly clock: Clock;
}): Disposable {
  const { drivers, telemetry, clock } = options;
  const lagging = new Set<QueueSample["queue"]>();

  async function look(): Promise<number> {
    for (const sample of await readQueues(drivers, clock)) {
      const isBehind = (sample.lagMs ?? 0) >= (LAG_MS[sample.queue] ?? Infinity);
      if (isBehind === lagging.has(sample.queue)) continue;
      if (isBehind) {
        lagging.add(sample.queue);
        telemetry.lagging(sample);
      } else {
        lagging.delete(sample.queue);
        telemetry.caughtUp(sample);
      }
    }
    return LAG_LOOK_MS;
  }

  return lookRepeatedly(clock, LAG_LOOK_MS, look);
}
