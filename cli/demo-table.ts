/** What the demo found, per priority: counted, compared, and put into a table. Pure. */
import type { Priority } from "@posthaste/shared/domain/event.ts";
import type { Arrival } from "./demo-receiver.ts";

/** One publish: `id` null when it was not answered with 202. */
export interface Published {
  readonly priority: Priority;
  readonly dataText: string;
  readonly id: string | null;
  /** `clock.monotonic()` when the request began. */
  readonly startedAt: number;
}

interface Row {
  readonly priority: string;
  readonly sent: number;
  readonly delivered: number;
  readonly verified: number;
  readonly identical: number;
  readonly duplicates: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const columns = ["priority", "sent", "delivered", "verified", "byte-identical", "duplicates", "p50 ms", "p99 ms"];
const priorities: readonly Priority[] = ["HIGH", "MEDIUM", "LOW"];
const encoder = new TextEncoder();

/** The table's text, and whether everything came once, verified and unchanged. */
export function demoTable(
  published: readonly Published[],
  arrivals: ReadonlyMap<string, Arrival>,
): { readonly text: string; readonly isPerfect: boolean } {
  const rows = [
    ...priorities.map((priority) =>
      count(
        priority,
        published.filter((one) => one.priority === priority),
        arrivals,
      ),
    ),
    count("all", published, arrivals),
  ];
  const isPerfect = rows.every(
    ({ sent, delivered, verified, identical, duplicates }) =>
      delivered === sent && verified === sent && identical === sent && duplicates === 0,
  );
  return { text: [line(columns), ...rows.map((row) => line(cells(row)))].join("\n"), isPerfect };
}

function count(priority: string, published: readonly Published[], arrivals: ReadonlyMap<string, Arrival>): Row {
  const pairs = published.flatMap((one) => {
    const arrival = one.id === null ? undefined : arrivals.get(one.id);
    return arrival === undefined ? [] : [{ one, arrival }];
  });
  const latenciesMs = pairs.map(({ one, arrival }) => arrival.firstAt - one.startedAt).toSorted((a, b) => a - b);
  return {
    priority,
    sent: published.length,
    delivered: pairs.length,
    verified: pairs.filter(({ arrival }) => arrival.isVerified).length,
    identical: pairs.filter(
      ({ one, arrival }) => Buffer.compare(dataOf(arrival.body), encoder.encode(one.dataText)) === 0,
    ).length,
    duplicates: pairs.reduce((sum, { arrival }) => sum + arrival.times - 1, 0),
    p50Ms: percentile(latenciesMs, 0.5),
    p99Ms: percentile(latenciesMs, 0.99),
  };
}

/** Nearest rank; 0 of nothing. */
function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

function cells(row: Row): readonly string[] {
  const { sent, delivered, verified, identical, duplicates, p50Ms, p99Ms } = row;
  return [
    row.priority,
    ...[sent, delivered, verified, identical, duplicates].map(String),
    p50Ms.toFixed(1),
    p99Ms.toFixed(1),
  ];
}

function line(values: readonly string[]): string {
  const padded = values.map((value, at) => {
    const width = Math.max(6, columns[at]?.length ?? 0);
    return at === 0 ? value.padEnd(width) : value.padStart(width);
  });
  return `  ${padded.join("  ")}`;
}

/** The value of `data` as it stands in the body, byte for byte; empty when the body has another form. */
function dataOf(body: Uint8Array): Uint8Array {
  const mark = Buffer.from(body.buffer, body.byteOffset, body.length).indexOf(',"data":');
  return mark === -1 ? new Uint8Array() : body.subarray(mark + ',"data":'.length, -1);
}
