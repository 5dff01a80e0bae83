/**
 * Takes out events after their time. Each is looked at for the first time `EVENTS_KEPT_MS` after its acceptance, in the order of the
 * list by time, so that an accept writes nothing for it; what stays then is looked at again by `prune_later`. Where the
 * first looks have come to is kept in memory: after a start they pass over what waits in `prune_later` once.
 */
import { createConditions } from "./conditions.ts";
import type { Database } from "./database.ts";
import { createEventRemoval } from "./event-removal.ts";
import { EVENTS_KEPT_MS } from "./event-store.ts";
import { readBehind } from "./stretches.ts";

/** Rows looked at or deleted in one step; one step is well under 50 ms. */
export const PRUNE_ROWS_MAX = 500;
/** An event that is still referred to is looked at again after this. */
const HELD_RECHECK_MS = 3600 * 1000;

interface Place {
  readonly at: number;
  readonly id: number;
}

const START: Place = { at: -1, id: 0 };

export interface EventStep {
  /** There may be more to do at once. */
  readonly hasMore: boolean;
  readonly place: Place;
}

export interface EventPrune {
  /** When it has something to look at; null when there is no event. */
  nextDueAtMs(nowMs: number): number | null;
  /** Within an operation of the writer. */
  step(nowMs: number): EventStep;
  /** After its COMMIT. */
  stepped(step: EventStep): void;
}

interface EventRow {
  readonly id: number;
  readonly tenant: string;
  readonly event_id: string;
}

/** In the list by time. */
interface ListedRow extends EventRow, Place {
  readonly prune_at: number;
}

export function createEventPrune(database: Database): EventPrune {
  const judge = createJudgement(database);
  const nextTimes = database.prepare<{ later: number | null; first: number | null }>(
    `SELECT (SELECT min(at) FROM prune_later) AS later, iif(EXISTS (SELECT 1 FROM events WHERE accepted_at = ?1 AND id > ?2), ?1,
       (SELECT accepted_at FROM events WHERE accepted_at > ?1 ORDER BY accepted_at LIMIT 1)) AS first`,
  );
  // Of an event that went before its time, or got another time, the row is left over.
  const dueLater = database.prepare<
    { at: number; event: number } & { [Name in keyof EventRow]: EventRow[Name] | null }
  >(
    `SELECT l.at, l.event, e.id, e.tenant, e.event_id FROM prune_later l LEFT JOIN events e ON e.id = l.event AND e.prune_at = l.at
     WHERE l.at <= ? ORDER BY l.at, l.event LIMIT ${PRUNE_ROWS_MAX}`,
  );
  const isLater = database.prepare<{ found: number }>("SELECT 1 AS found FROM prune_later WHERE at = ? AND event = ?");
  const forget = database.prepare("DELETE FROM prune_later WHERE at = ? AND event = ?");
  /** All events up to here were looked at. */
  let place = START;

  /** From the beginning when the clock was set back: events may have come that were accepted before the place. */
  function startAt(nowMs: number): Place {
    return place.at > nowMs - EVENTS_KEPT_MS ? START : place;
  }

  /** What is left of `rows`, the rows that this step may still take. */
  function lookAgain(nowMs: number, rows: number): { readonly left: number; readonly hasMore: boolean } {
    const due = dueLater.all(nowMs);
    let left = rows;
    for (const { at, event, id, tenant, event_id: eventId } of due) {
      left -= id === null || tenant === null || eventId === null ? 1 : judge({ id, tenant, event_id: eventId }, nowMs);
      // One with more rows than a step removes is looked at again.
      if (left <= 0) return { left, hasMore: true };
      forget.run(at, event);
    }
    return { left, hasMore: due.length === PRUNE_ROWS_MAX };
  }

  function lookFirst(nowMs: number, rows: number): EventStep {
    let left = rows;
    let looked = startAt(nowMs);
    const due = readBehind({
      prepare: (sql) => database.prepare<ListedRow>(sql),
      select: "SELECT id, tenant, event_id, accepted_at AS at, prune_at FROM events",
      range: createConditions().and("accepted_at <= ?", nowMs - EVENTS_KEPT_MS),
      keys: ["accepted_at", "id"],
      sign: ">",
      after: [looked.at, looked.id],
      count: PRUNE_ROWS_MAX,
    });
    for (const { prune_at: laterAtMs, ...event } of due) {
      const waits = laterAtMs !== 0 && isLater.get(laterAtMs, event.id) !== undefined;
      left -= waits ? 1 : judge(event, nowMs);
      if (left <= 0) return { hasMore: true, place: looked };
      looked = { at: event.at, id: event.id };
    }
    return { hasMore: due.length === PRUNE_ROWS_MAX, place: looked };
  }

  return {
    nextDueAtMs(nowMs) {
      const { at, id } = startAt(nowMs);
      const { later = null, first = null } = nextTimes.get(at, id) ?? {};
      const firstAtMs = first === null ? null : first + EVENTS_KEPT_MS;
      return later === null || firstAtMs === null ? (later ?? firstAtMs) : Math.min(later, firstAtMs);
    },
    step(nowMs) {
      const { left, hasMore } = lookAgain(nowMs, PRUNE_ROWS_MAX);
      return hasMore ? { hasMore, place: startAt(nowMs) } : lookFirst(nowMs, left);
    },
    stepped(step) {
      place = step.place;
    },
  };
}

/** Removes an event that is due, or some of its rows, or gives it another time. Returns how many rows that took. */
function createJudgement(database: Database): (event: EventRow, nowMs: number) => number {
  const { isReferred, removeSome } = createEventRemoval(database);
  const lastNews = database.prepare<{ at: number | null; count: number }>(
    "SELECT max(updated_at) AS at, count(*) AS count FROM deliveries WHERE event = ?",
  );
  const setTime = database.prepare("UPDATE events SET prune_at = ? WHERE id = ?");
  const addLater = database.prepare("INSERT OR IGNORE INTO prune_later VALUES (?, ?)");

  function keepUntil(id: number, atMs: number): number {
    setTime.run(atMs, id);
    addLater.run(atMs, id);
    return 1;
  }

  return ({ id, tenant, event_id: eventId }, nowMs) => {
    const news = lastNews.get(id);
    const newsAtMs = news?.at ?? 0;
    // What is looked at counts as well: one event may have a thousand deliveries.
    const looked = news?.count ?? 0;
    if (isReferred(id, tenant, eventId)) return looked + keepUntil(id, nowMs + HELD_RECHECK_MS);
    if (newsAtMs + EVENTS_KEPT_MS > nowMs) return looked + keepUntil(id, newsAtMs + EVENTS_KEPT_MS);
    return looked + removeSome(id, PRUNE_ROWS_MAX);
  };
}
