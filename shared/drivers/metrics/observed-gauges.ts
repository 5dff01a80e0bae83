/**
 * Gauges that are asked for at each collection, in place of the SDK's, which go on showing a row for ever once it was
 * observed (sdk-metrics 3.1.1, cumulative readers): an age of what waits must be gone when nothing waits any more.
 */
import type {
  Attributes,
  BatchObservableCallback,
  HrTime,
  MetricOptions,
  Observable,
  ObservableCallback,
  ObservableGauge,
} from "@opentelemetry/api";
import type { MetricData } from "@opentelemetry/sdk-metrics";
import { DataPointType } from "@opentelemetry/sdk-metrics";

import { ROWS_MAX, described } from "./quick-instruments.ts";

interface Row {
  readonly attributes: Attributes;
  readonly value: number;
}

export function createObservedGauges() {
  const gauges: { readonly gauge: Observable; readonly name: string; readonly options: MetricOptions }[] = [];
  const callbacks = new Set<BatchObservableCallback>();

  function createObservableGauge(name: string, options: MetricOptions = {}): ObservableGauge {
    const batches = new Map<ObservableCallback, BatchObservableCallback>();
    const gauge: ObservableGauge = {
      addCallback(callback) {
        const batch: BatchObservableCallback = (result) =>
          callback({ observe: (value, attributes) => result.observe(gauge, value, attributes) });
        batches.set(callback, batch);
        callbacks.add(batch);
      },
      removeCallback(callback) {
        const batch = batches.get(callback);
        if (batch !== undefined) callbacks.delete(batch);
        batches.delete(callback);
      },
    };
    gauges.push({ gauge, name, options });
    return gauge;
  }

  return {
    createObservableGauge,
    addBatchObservableCallback: (callback: BatchObservableCallback) => void callbacks.add(callback),
    /** Asks all at the same time; one that fails costs what it would have told. Past `ROWS_MAX` rows of a gauge the rest is left out. */
    async collect(startTime: HrTime, endTime: HrTime): Promise<readonly MetricData[]> {
      const rows = new Map<Observable, Row[]>(gauges.map(({ gauge }) => [gauge, []]));
      const observe = (gauge: Observable, value: number, attributes: Attributes = {}): void => {
        const own = rows.get(gauge);
        if (own !== undefined && own.length < ROWS_MAX) own.push({ attributes, value });
      };
      await Promise.allSettled([...callbacks].map(async (callback) => await callback({ observe })));
      return gauges.map(({ gauge, name, options }) => ({
        ...described(name, options),
        dataPointType: DataPointType.GAUGE as const,
        dataPoints: (rows.get(gauge) ?? []).map((row) => ({ startTime, endTime, ...row })),
      }));
    },
  };
}
