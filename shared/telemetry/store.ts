/** The stores of the distributed set: one line when one goes away, one when it is back. */
import type { Clock } from "../lib/ambient.ts";
import { reasonOf } from "../domain/errors.ts";
import type { Log } from "./log.ts";
import { createLogPace } from "./log-pace.ts";

export interface StoreTelemetry {
  /** `reason` and `meanwhile`, what goes on without it, are sentences of ours; `cause` was thrown, if something was. */
  away(store: string, news: { reason: string; cause: unknown; meanwhile: string }): void;
  /** `faults` is how often it failed meanwhile. */
  back(store: string, awayMs: number, faults: number): void;
  /** It answers, and something failed all the same. */
  fault(store: string, error: unknown): void;
}

export function createStoreTelemetry({
  log,
  clock,
}: {
  readonly log: Log;
  readonly clock: Pick<Clock, "monotonic">;
}): StoreTelemetry {
  const pace = createLogPace(clock);
  return {
    away(store, { reason, cause, meanwhile }) {
      const thrown = cause === undefined ? {} : { cause: reasonOf(cause) };
      log.write("warn", "store.away", { store, reason, ...thrown, meanwhile });
    },
    back(store, awayMs, faults) {
      log.write("warn", "store.back", { store, away_ms: Math.round(awayMs), faults });
    },
    fault(store, error) {
      const unlogged = pace.turn(store);
      if (unlogged === null) return;
      log.write("error", "store.fault", {
        store,
        error: reasonOf(error),
        ...(unlogged === 0 ? {} : { unlogged }),
      });
    },
  };
}
