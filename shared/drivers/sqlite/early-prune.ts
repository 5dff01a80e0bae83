/**
 * Makes room when the database is past its bytes: events that are done go before their time, the oldest of the tenant that
 * keeps about most. Who that is a sample tells: counting it with each event would cost every delivery, and the answer is
 * needed seldom.
 */
import { createConditions } from "./conditions.ts";
import type { Database } from "./database.ts";
import { createEventRemoval } from "./event-removal.ts";
import { readBehind } from "./stretches.ts";

/** Rows looked at in one step, and rows of the sample. */
const LOOKED_MAX = 500;
const SAMPLE = 200;
/** Tenants passed over in one run, as nothing of theirs may go. */
const PASSED_OVER_MAX = 1000;
/** What an event takes beside its body, about. */
const ROW_BYTES = 400;

export interface EarlyPrune {
  isOver(): boolean;
  /** A run begins: what was passed over is looked at again. */
  begin(): void;
  /** Within an operation of the writer. False when nothing more may go. */
  step(): boolean;
}

interface Place {
  readonly at: number;
  readonly id: number;
}

interface EventRow extends Place {
  readonly event_id: string;
}

const START: Place = { at: -1, id: 0 };

export function createEarlyPrune(database: Database, bytesMax: number): EarlyPrune {
  const { isReferred, removeSome } = createEventRemoval(database);
  const fullestTenant = createSample(database);
  const pageBytes = pragma(database, "page_size");
  /** Where to go on in a tenant's events; null when all were looked at. */
  let places = new Map<string, Place | null>();

  /** Removes what may go of the next events; the place behind those that were looked at. */
  function pruneTenant(tenant: string, from: Place): Place | null {
    const rows = readBehind({
      prepare: (sql) => database.prepare<EventRow>(sql),
      select: "SELECT id, event_id, accepted_at AS at FROM events",
      range: createConditions().and("tenant = ?", tenant),
      keys: ["accepted_at", "id"],
      sign: ">",
      after: [from.at, from.id],
      count: LOOKED_MAX,
    });
    let place = from;
    let rowsLeft = LOOKED_MAX;
    for (const { id, event_id: eventId, at } of rows) {
      if (rowsLeft <= 0) return place;
      rowsLeft -= isReferred(id, tenant, eventId) ? 1 : removeSome(id, LOOKED_MAX);
      // One with more rows than a step removes is looked at again.
      if (rowsLeft > 0) place = { at, id };
    }
    return rows.length < LOOKED_MAX ? null : place;
  }

  return {
    isOver: () => (pragma(database, "page_count") - pragma(database, "freelist_count")) * pageBytes > bytesMax,
    begin() {
      places = new Map();
    },
    step() {
      const tenant = fullestTenant((name) => places.get(name) !== null);
      if (tenant === null || places.size >= PASSED_OVER_MAX) return false;
      places.set(tenant, pruneTenant(tenant, places.get(tenant) ?? START));
      return true;
    },
  };
}

/** The tenant with most bytes in a sample of rows that lie evenly among all, out of those that `isMeant`. */
function createSample(database: Database): (isMeant: (tenant: string) => boolean) => string | null {
  const ends = database.prepare<{ first: number | null; last: number | null }>(
    "SELECT (SELECT min(id) FROM events) AS first, (SELECT max(id) FROM events) AS last",
  );
  const row = database.prepare<{ tenant: string; bytes: number }>(
    "SELECT tenant, length(body) AS bytes FROM events WHERE id >= ? ORDER BY id LIMIT 1",
  );
  return (isMeant) => {
    const { first = null, last = null } = ends.get() ?? {};
    if (first === null || last === null) return null;
    const bytesByTenant = new Map<string, number>();
    for (let index = 0; index < SAMPLE; index++) {
      const found = row.get(first + Math.floor(((last - first) * index) / (SAMPLE - 1)));
      if (found === undefined || !isMeant(found.tenant)) continue;
      bytesByTenant.set(found.tenant, (bytesByTenant.get(found.tenant) ?? 0) + found.bytes + ROW_BYTES);
    }
    const byWeight = [...bytesByTenant].toSorted(([, left], [, right]) => right - left);
    return byWeight[0]?.[0] ?? null;
  };
}

function pragma(database: Database, name: "page_count" | "freelist_count" | "page_size"): number {
  return database.prepare<Record<string, number>>(`PRAGMA ${name}`).get()?.[name] ?? 0;
}
