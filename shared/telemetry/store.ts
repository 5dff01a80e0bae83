/** The stores: one line when one goes away, one when it is back, and what is found in them that is none of ours. */
import type { Meter } from "@opentelemetry/api";
import { isDamage, reasonOf } from "../domain/errors.ts";
import type { StoreGauges } from "../ports/store-gauges.ts";
import type { Fallbacks } from "./fallbacks.ts";
import { createLogPace } from "./log-pace.ts";
import type { TelemetryParts } from "./parts.ts";

export interface StoreTelemetry {
  /** The store is one of those that are needed, and was there when it was last looked at. */
  watched(store: string, isUp: boolean): void;
  /** Registers what is asked at each collection. */
  observe(gauges: StoreGauges): void;
  /** Records that a topic of the log has for sure; `bytes` are those of keys and values. */
  wrote(topic: string, records: number, bytes: number): void;
  /** Records of a topic that came to a reader of ours. */
  read(topic: string, records: number, bytes: number): void;
  /** `reason` and `meanwhile`, what goes on without it, are sentences of ours; `cause` was thrown, if something was. */
  away(store: string, news: { reason: string; cause: unknown; meanwhile: string }): void;
  /** `faults` is how often it failed meanwhile. */
  back(store: string, awayMs: number, faults: number): void;
  /** It answers, and something failed all the same: a record does not read back, and is passed over, or anything else. */
  fault(store: string, error: unknown): void;
  /** A stop could not finish this, a phrase each. */
  unfinished(what: readonly string[]): void;
}

interface StoreTelemetryParts extends TelemetryParts {
  readonly fallbacks: Fallbacks;
}

/** What takes over while a store is away. */
const FALLBACK_FOR: Readonly<Record<string, string>> = { redis: "high-through-kafka", kafka: "spool-in-redis" };

export function createStoreTelemetry({ meter, log, clock, fallbacks }: StoreTelemetryParts): StoreTelemetry {
  const pace = createLogPace(clock);
  const seen = createStoresSeen(meter, fallbacks);
  const traffic = createTopicTraffic(meter);
  const damaged = meter.createCounter("posthaste.records.damaged", {
    unit: "{record}",
    description: "Records of a store that did not read back and were passed over, each time that they were met",
  });
  return {
    watched: seen.note,
    observe: (gauges) => observeGauges(meter, gauges),
    wrote: (topic, records, bytes) => traffic(topic, "written", records, bytes),
    read: (topic, records, bytes) => traffic(topic, "read", records, bytes),
    away(store, { reason, cause, meanwhile }) {
      seen.note(store, false);
      const thrown = cause === undefined ? {} : { cause: reasonOf(cause) };
      log.write("warn", "store.away", { store, reason, ...thrown, meanwhile });
    },
    back(store, awayMs, faults) {
      seen.note(store, true);
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

/** Which stores were there when they were last looked at. */
function createStoresSeen(meter: Meter, fallbacks: Fallbacks) {
  const isUpOf = new Map<string, boolean>();
  const up = meter.createObservableGauge("posthaste.store.up", {
    unit: "{store}",
    description: "1 while the store answers, 0 while it is away",
  });
  up.addCallback((result) => {
    for (const [store, isUp] of isUpOf) result.observe(isUp ? 1 : 0, { store });
  });
  return {
    note(store: string, isUp: boolean): void {
      isUpOf.set(store, isUp);
      const fallback = FALLBACK_FOR[store];
      if (fallback !== undefined) fallbacks.set(fallback, !isUp);
    },
  };
}

function createTopicTraffic(meter: Meter) {
  const count = meter.createCounter("posthaste.topic.records", {
    unit: "{record}",
    description: "Records written to and read from topics",
  });
  const size = meter.createCounter("posthaste.topic.bytes", {
    unit: "By",
    description: "Keys and values written to and read from topics",
  });
  return (topic: string, direction: "written" | "read", records: number, bytes: number): void => {
    count.add(records, { topic, direction });
    size.add(bytes, { topic, direction });
  };
}

function observeGauges(meter: Meter, gauges: StoreGauges): void {
  const lag = meter.createObservableGauge("posthaste.consumer_group.lag", {
    unit: "{record}",
    description: "Records of a partition that its group has not done",
  });
  const age = meter.createObservableGauge("posthaste.consumer_group.lag_age", {
    unit: "s",
    description: "Age of the oldest record of a partition that its group has not done",
  });
  const used = meter.createObservableGauge("posthaste.redis.memory.used", {
    unit: "By",
    description: "Memory that Redis uses",
  });
  const limit = meter.createObservableGauge("posthaste.redis.memory.limit", {
    unit: "By",
    description: "Memory that Redis may use",
  });
  meter.addBatchObservableCallback(
    async (result) => {
      for (const { group, topic, partition, records, ageMs } of await gauges.consumerLag()) {
        const labels = { group, topic, partition: String(partition) };
        result.observe(lag, records, labels);
        if (ageMs !== null) result.observe(age, ageMs / 1000, labels);
      }
    },
    [lag, age],
  );
  meter.addBatchObservableCallback(
    async (result) => {
      for (const { store, usedBytes, maxBytes } of await gauges.memory()) {
        result.observe(used, usedBytes, { store });
        if (maxBytes !== null) result.observe(limit, maxBytes, { store });
      }
    },
    [used, limit],
  );
}
