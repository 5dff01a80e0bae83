/**
 * A counter for what happens with every event. The SDK sorts and serialises attributes at each addition; here an
 * addition is one to a number, and attributes meet the SDK only when somebody reads. For few combinations of values.
 */
import type { Meter } from "@opentelemetry/api";

/** Combinations of attribute values; further ones are counted under `overflow`, as the SDK does. */
export const TALLY_ROWS_MAX = 200;

const OVERFLOW = "otel.metric.overflow";

export interface Tally {
  add(first: string, second: string): void;
}

/** Counts by two attributes with the given names. */
export function createTally(
  meter: Meter,
  name: string,
  options: { readonly unit: string; readonly description: string },
  [firstName, secondName]: readonly [string, string],
): Tally {
  const rows = new Map<string, Map<string, { count: number }>>();
  const overflow = { count: 0 };
  let rowCount = 0;

  function place(first: string, second: string): { count: number } {
    if (rowCount >= TALLY_ROWS_MAX) return overflow;
    const inner = rows.get(first) ?? new Map<string, { count: number }>();
    rows.set(first, inner);
    const row = { count: 0 };
    inner.set(second, row);
    rowCount++;
    return row;
  }

  meter.createObservableCounter(name, options).addCallback((result) => {
    for (const [first, inner] of rows) {
      for (const [second, { count }] of inner) result.observe(count, { [firstName]: first, [secondName]: second });
    }
    if (overflow.count > 0) result.observe(overflow.count, { [OVERFLOW]: true });
  });
  return {
    add(first, second) {
      const row = rows.get(first)?.get(second) ?? place(first, second);
      row.count++;
    },
  };
}
