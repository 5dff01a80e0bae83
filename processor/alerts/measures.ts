/** What alerts go by, as this process sees it: its queues, its stores, and how quickly things grow. */
import type { Measure } from "@posthaste/shared/domain/alert-rules.ts";
import type { Measures } from "@posthaste/shared/domain/alerts.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";
import type { Telemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import { LANES } from "@posthaste/shared/domain/event.ts";
import { inTime } from "@posthaste/shared/lib/in-time.ts";
import { readQueues } from "@posthaste/shared/ports/queue-samples.ts";

/** Growth is told over so long, and not before it was looked at for a minute. */
const GROWTH_MS = 10 * 60_000;
const GROWTH_MS_MIN = 60_000;
/** A store that has not answered by then counts as down, and says nothing of its fallbacks. */
const ANSWER_MS = 3000;

export type ReadMeasures = () => Promise<Measures>;

/** Never rejects; what cannot be told is left out. */
export function createMeasures(options: {
  readonly drivers: Pick<
    Drivers,
    "lanes" | "retryQueue" | "deadLetters" | "spool" | "missedLedger" | "health" | "degraded"
  >;
  readonly clock: Clock;
  /** Since the start. */
  readonly loopFailures: () => number;
}): ReadMeasures {
  const { drivers, clock, loopFailures } = options;
  const growths = { retry: createGrowth(clock), dead: createGrowth(clock), loops: createGrowth(clock) };
  return async () => {
    const measures = new Map<Measure, number>();
    const put = (measure: Measure, value: number | null): void => void (value !== null && measures.set(measure, value));
    for (const { queue, depth, lagMs } of await readQueues(drivers, clock)) {
      const lane = LANES.find((each) => each === queue);
      if (lane !== undefined) {
        put(`age.${lane}`, (lagMs ?? 0) / 1000);
        put(`lag.${lane}`, depth);
      }
      if (queue === "retry" || queue === "dead") put(`${queue}.growth`, growths[queue](depth));
    }
    put("loops.failed", growths.loops(loopFailures()));
    const fault = await inTime(clock, ANSWER_MS, drivers.health()).catch(() => null);
    put("stores.down", fault?.kind === "done" && fault.value === null ? 0 : 1);
    const away = await inTime(clock, ANSWER_MS, drivers.degraded()).catch(() => null);
    put("fallbacks", away?.kind === "done" ? away.value.length : null);
    return measures;
  };
}

/** By how much a count has grown in each minute; null in the first one. It keeps a reading for each second at most. */
function createGrowth(clock: Pick<Clock, "monotonic">): (count: number) => number | null {
  const readings: { readonly atMs: number; readonly count: number }[] = [];
  return (count) => {
    const nowMs = clock.monotonic();
    while (readings.length > 1 && nowMs - (readings[1]?.atMs ?? nowMs) >= GROWTH_MS) readings.shift();
    readings.push({ atMs: nowMs, count });
    const [first] = readings;
    const overMs = nowMs - (first?.atMs ?? nowMs);
    return overMs < GROWTH_MS_MIN ? null : ((count - (first?.count ?? count)) * 60_000) / overMs;
  };
}

/** The telemetry, of which failures of loops are counted. */
export function countingFailures(telemetry: Telemetry): { readonly telemetry: Telemetry; loopFailures(): number } {
  let count = 0;
  const queue: Telemetry["queue"] = {
    ...telemetry.queue,
    loopFailed(...failure) {
      count += 1;
      telemetry.queue.loopFailed(...failure);
    },
  };
  return { telemetry: { ...telemetry, queue }, loopFailures: () => count };
}
