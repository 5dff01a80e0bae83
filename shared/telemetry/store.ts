/** The stores: one line when one goes away, one when it is back, and what is found in them that is none of ours. */
import { isDamage, reasonOf } from "../domain/errors.ts";
import { createLogPace } from "./log-pace.ts";
import type { TelemetryParts } from "./parts.ts";

export interface StoreTelemetry {
  /** `reason` and `meanwhile`, what goes on without it, are sentences of ours; `cause` was thrown, if something was. */
  away(store: string, news: { reason: string; cause: unknown; meanwhile: string }): void;
  /** `faults` is how often it failed meanwhile. */
  back(store: string, awayMs: number, faults: number): void;
  /** It answers, and something failed all the same: a record does not read back, and is passed over, or anything else. */
  fault(store: string, error: unknown): void;
  /** A stop could not finish this, a phrase each. */
  unfinished(what: readonly string[]): void;
}

export function createStoreTelemetry({ meter, log, clock }: TelemetryParts): StoreTelemetry {
  const pace = createLogPace(clock);
  const damaged = meter.createCounter("posthaste.records.damaged", {
    unit: "{record}",
    description: "Records of a store that did not read back and were passed over, each time that they were met",
  });
  return {
    away(store, { reason, cause, meanwhile }) {
      const thrown = cause === undefined ? {} : { cause: reasonOf(cause) };
      log.write("warn", "store.away", { store, reason, ...thrown, meanwhile });
    },
    back(store, awayMs, faults) {
      log.write("warn", "store.back", { store, away_ms: Math.round(awayMs), faults });
    },
    fault(store, error) {
      if (isDamage(error)) damaged.add(1, { store });
      const unlogged = pace.turn(store);
      if (unlogged === null) return;
      log.write("error", "store.fault", {
        store,
        error: reasonOf(error),
        ...(unlogged === 0 ? {} : { unlogged }),
      });
    },
    unfinished(what) {
      log.write("warn", "stop.unfinished", { what: what.join("; ") });
    },
  };
}
