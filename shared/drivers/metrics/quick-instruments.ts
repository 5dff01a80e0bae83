/**
 * Counters and histograms for what happens with every event. The SDK sorts and serialises the attributes at each
 * measurement, which was 5 % of an accepted event (perf, Bun 1.4.5); here a measurement looks its row up by the values and adds
 * to numbers. The rows meet the SDK when it collects, as a `MetricProducer` with cumulative temporality.
 */
import type { Attributes, Counter, Histogram, HrTime, MetricOptions } from "@opentelemetry/api";
import { ValueType } from "@opentelemetry/api";
import type { MetricData, MetricProducer } from "@opentelemetry/sdk-metrics";
import { AggregationTemporality, DataPointType } from "@opentelemetry/sdk-metrics";

import { assert } from "../../lib/assert.ts";

/** Combinations of attribute values of one instrument; further ones are measured in one row, marked as the SDK marks it. */
export const ROWS_MAX = 2000;

const OVERFLOW: Attributes = { "otel.metric.overflow": true };

export interface QuickInstruments {
  readonly createCounter: (name: string, options?: MetricOptions) => Counter;
  /** `options.advice.explicitBucketBoundaries` must be there: bounds that nobody chose fit nothing. */
  readonly createHistogram: (name: string, options?: MetricOptions) => Histogram;
  readonly producer: MetricProducer;
}

/** What else the producer gives, asked at each collection. */
type Further = (startTime: HrTime, endTime: HrTime) => Promise<readonly MetricData[]>;

/** `scope` is the meter's name, `now` Unix ms. */
export function createQuickInstruments(scope: string, now: () => number, further: Further): QuickInstruments {
  const startTime = hrTimeOf(now());
  const instruments: ((endTime: HrTime) => MetricData)[] = [];

  /** Cumulative values of one instrument, as points of the SDK. */
  function pointsOf<Value, Shown>(rows: Rows<Value>, show: (value: Value) => Shown) {
    return (endTime: HrTime) =>
      [...rows.all()].map(({ attributes, value }) => ({ startTime, endTime, attributes, value: show(value) }));
  }

  return {
    createCounter(name, options) {
      const rows = new Rows(() => ({ sum: 0 }));
      const points = pointsOf(rows, ({ sum }) => sum);
      instruments.push((endTime) => ({
        ...described(name, options),
        dataPointType: DataPointType.SUM,
        isMonotonic: true,
        dataPoints: points(endTime),
      }));
      return {
        add(value, attributes = {}) {
          if (value > 0) rows.at(attributes).sum += value;
        },
      };
    },
    createHistogram(name, options) {
      const bounds = options?.advice?.explicitBucketBoundaries;
      assert(bounds !== undefined, `the histogram ${name} has bounds`);
      const rows = new Rows(() => newDistribution(bounds.length + 1));
      const points = pointsOf(rows, ({ counts, ...rest }) => ({
        buckets: { boundaries: bounds, counts: [...counts] },
        ...rest,
      }));
      instruments.push((endTime) => ({
        ...described(name, options),
        dataPointType: DataPointType.HISTOGRAM,
        dataPoints: points(endTime),
      }));
      return {
        record(value, attributes = {}) {
          if (value >= 0) addTo(rows.at(attributes), bounds, value);
        },
      };
    },
    producer: {
      async collect() {
        const endTime = hrTimeOf(now());
        const observed = await further(startTime, endTime);
        const all = [...instruments.map((read) => read(endTime)), ...observed];
        const metrics = all.filter(({ dataPoints }) => dataPoints.length > 0);
        // The reader takes the provider's resource in place of this one.
        const resource = { attributes: {}, merge: () => resource, getRawAttributes: () => [] };
        return { resourceMetrics: { resource, scopeMetrics: [{ scope: { name: scope }, metrics }] }, errors: [] };
      },
    },
  };
}

/** One value for each combination of attributes, found by one step for each name and each value: no text is put together. */
class Rows<Value> {
  readonly #create: () => Value;
  readonly #root: Place<Value> = newPlace();
  readonly #rows: Row<Value>[] = [];
  #overflow: Value | null = null;

  constructor(create: () => Value) {
    this.#create = create;
  }

  /** Callers name the attributes of an instrument in one order always. */
  at(attributes: Attributes): Value {
    let place: Place<Value> | undefined = this.#root;
    for (const name in attributes) {
      place = place.further.get(name)?.get(attributes[name]);
      if (place === undefined) break;
    }
    return place?.row?.value ?? this.#add(attributes);
  }

  #add(attributes: Attributes): Value {
    if (this.#rows.length >= ROWS_MAX) return (this.#overflow ??= this.#create());
    const row = { attributes: { ...attributes }, value: this.#create() };
    let place = this.#root;
    for (const name in attributes) {
      const value = attributes[name];
      assert(typeof value !== "object", `the attribute ${name} is no list, as two of those are never the same`);
      place = placeBehind(place, name, value);
    }
    place.row = row;
    this.#rows.push(row);
    return row.value;
  }

  *all(): Iterable<Row<Value>> {
    yield* this.#rows;
    if (this.#overflow !== null) yield { attributes: OVERFLOW, value: this.#overflow };
  }
}

interface Row<Value> {
  readonly attributes: Attributes;
  readonly value: Value;
}

/** Where the attributes so far lead. */
interface Place<Value> {
  row: Row<Value> | null;
  /** By the name of the next one, then by its value. */
  readonly further: Map<string, Map<Attributes[string], Place<Value>>>;
}

function newPlace<Value>(): Place<Value> {
  return { row: null, further: new Map() };
}

function placeBehind<Value>(place: Place<Value>, name: string, value: Attributes[string]): Place<Value> {
  let byValue = place.further.get(name);
  if (byValue === undefined) place.further.set(name, (byValue = new Map()));
  let next = byValue.get(value);
  if (next === undefined) byValue.set(value, (next = newPlace()));
  return next;
}

interface Distribution {
  /** One more than there are bounds. */
  readonly counts: number[];
  sum: number;
  count: number;
  min: number;
  max: number;
}

function newDistribution(length: number): Distribution {
  return { counts: Array.from({ length }, () => 0), sum: 0, count: 0, min: Infinity, max: -Infinity };
}

/** Upper bounds are part of their bucket. */
function addTo(into: Distribution, bounds: readonly number[], value: number): void {
  let index = 0;
  while (index < bounds.length && value > (bounds[index] ?? Infinity)) index += 1;
  into.counts[index] = (into.counts[index] ?? 0) + 1;
  into.sum += value;
  into.count += 1;
  into.min = Math.min(into.min, value);
  into.max = Math.max(into.max, value);
}

export function described(name: string, { unit = "", description = "" }: MetricOptions = {}) {
  return {
    descriptor: { name, unit, description, valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  };
}

function hrTimeOf(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}
