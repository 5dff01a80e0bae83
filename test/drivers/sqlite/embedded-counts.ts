/** How many rows the tables of the embedded set hold, for tests of what retention leaves. */
import type { DatabaseSync } from "node:sqlite";

const TABLES = ["events", "deliveries", "attempts", "lane_items"] as const;

export type SchemaCounts = Readonly<Record<(typeof TABLES)[number], number>>;

export function countRows(raw: DatabaseSync): SchemaCounts {
  const count = (table: string): number =>
    Number(raw.prepare(`SELECT count(*) AS count FROM ${table}`).get()?.["count"]);
  const [events, deliveries, attempts, laneItems] = TABLES.map(count);
  return { events: events ?? 0, deliveries: deliveries ?? 0, attempts: attempts ?? 0, lane_items: laneItems ?? 0 };
}
