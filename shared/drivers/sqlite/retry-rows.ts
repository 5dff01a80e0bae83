/** The rows of the retry queue: an item, its members by reference to the events, and its place in the order of time. */
import * as v from "valibot";
import type { Envelope } from "../../domain/envelope.ts";
import type { Group } from "../../domain/message.ts";
import { RecordedName } from "../../domain/envelope-record.ts";
import { TimeMs } from "../../domain/id.ts";
import { ATTEMPTS_MAX } from "../../domain/retry-policy.ts";
import { assert } from "../../lib/assert.ts";
import type { RetryItem, Scheduled } from "../../ports/retry-queue.ts";
import type { Database } from "./database.ts";
import type { EnvelopeRow, EventStore } from "./event-store.ts";
import { ENVELOPE_COLUMNS, ID_END, readableEnvelope } from "./event-store.ts";

/** A row of another id was written by hand, and none of ours; a number does not even name each of them, so that one would come again and again. */
const IS_OURS = `id < ${ID_END}`;

/** More than a group takes; what says more was written by hand, and is not counted. */
const ITEM_BYTES_MAX = 16 * 1024 * 1024;

/** The primary key of an item; also its handle. */
export interface RetryPlace {
  readonly notBeforeMs: number;
  readonly id: number;
}

interface ItemRow {
  readonly cause: string;
  readonly endpoint_id: string | null;
  readonly generation: number;
  readonly attempt: number;
  readonly parks: number;
  readonly unmade: number;
  readonly put_aside: number;
  readonly group_id: string | null;
  readonly group_closed_at: number | null;
  readonly is_repeat: number;
}

export interface RetryRows {
  /** `oddCount` rows have ids that none of ours has; they stay where they are, and are in nothing below. */
  totals(): { readonly count: number; readonly bytes: number; readonly idLast: number; readonly oddCount: number };
  /** Within an operation of the writer. */
  insert(item: Scheduled, bytes: number): RetryPlace;
  remove(place: RetryPlace): boolean;
  /** Within an operation of the writer: due at another time; where it is now. */
  move(place: RetryPlace, notBeforeMs: number): RetryPlace;
  /** Within an operation of the writer: of the next `max` deferred items of the endpoint, those that `isFree` become due; where they are now. */
  recall(endpointId: string, nowMs: number, max: number, isFree: (id: number) => boolean): readonly RetryPlace[];
  /**
   * Within an operation of the writer: of the next `max` rows after `after`, those up to the id `idMax` that `isFree` become
   * due `ms` sooner, but for those with a `deliver_at`. Where they are now, and the last row that was looked at, null when
   * there was none.
   */
  advance(
    after: RetryPlace,
    wish: {
      readonly ms: number;
      readonly idMax: number;
      readonly max: number;
      readonly isFree: (id: number) => boolean;
    },
  ): { readonly moved: readonly RetryPlace[]; readonly last: RetryPlace | null };
  /** The id that was given last. */
  idLast(): number;
  /** At most `max` places after `floor` that are due, in order. */
  due(floor: RetryPlace, nowMs: number, max: number): readonly RetryPlace[];
  /** The earliest time after `floor`; null when there is none. */
  nextDueAtMs(floor: RetryPlace | null): number | null;
  /** Null for an item that does not read back; it stays where it is. */
  read(place: RetryPlace, repeatIdMax: number): RetryItem | null;
}

export function comparePlaces(left: RetryPlace, right: RetryPlace): number {
  return left.notBeforeMs - right.notBeforeMs || left.id - right.id;
}

export function placeOf(item: RetryItem): RetryPlace {
  const handle = item.handle as RetryPlace | null;
  assert(typeof handle?.id === "number" && typeof handle.notBeforeMs === "number", "a retry item carries our handle");
  return handle;
}

export function createRetryRows(database: Database, events: EventStore): RetryRows {
  const found = totalsOf(database);
  return { totals: () => found, ...createRetryWrites(database, events, found.idLast), ...createRetryReads(database) };
}

function totalsOf(database: Database) {
  const sql = `SELECT count(*) AS count, sum(CASE WHEN bytes BETWEEN 0 AND ${ITEM_BYTES_MAX} THEN bytes END) AS bytes, sum(NOT (${IS_OURS})) AS odd, max(CASE WHEN ${IS_OURS} THEN id END) AS id FROM retry_items`;
  type Totals = { count: number; bytes: number | null; id: number | null; odd: number | null };
  const found = database.prepare<Totals>(sql).get();
  assert(found !== undefined, "a count has a row");
  return { count: found.count, bytes: found.bytes ?? 0, idLast: found.id ?? 0, oddCount: found.odd ?? 0 };
}

function createRetryWrites(
  database: Database,
  events: EventStore,
  idFound: number,
): Pick<RetryRows, "insert" | "remove" | "move" | "recall" | "advance" | "idLast"> {
  const insertItem = database.prepare("INSERT INTO retry_items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  const insertMember = database.prepare("INSERT INTO retry_members VALUES (?, ?, ?)");
  const removeItem = database.prepare("DELETE FROM retry_items WHERE not_before = ? AND id = ?");
  const removeMembers = database.prepare("DELETE FROM retry_members WHERE item = ?");
  const deferred = database.prepare<RetryPlace>(
    `SELECT not_before AS notBeforeMs, id FROM retry_items
     WHERE cause IN ('parked', 'relieved') AND (cause = 'parked' OR parks + unmade > 0)
       AND endpoint_id = ? AND not_before > ? AND ${IS_OURS} ORDER BY not_before, id LIMIT ?`,
  );
  const following = database.prepare<RetryPlace & { readonly cause: string }>(
    `SELECT not_before AS notBeforeMs, id, cause FROM retry_items
     WHERE (not_before, id) > (?, ?) AND ${IS_OURS} ORDER BY not_before, id LIMIT ?`,
  );
  const moveItem = database.prepare("UPDATE retry_items SET not_before = ? WHERE not_before = ? AND id = ?");
  let idLast = idFound;

  /** The row of a member; an event that was pruned since (a replayed dead letter) is written again. */
  function keep(member: Envelope): { readonly id: number; readonly isNew: boolean } {
    const known = events.find(member.tenant, member.id);
    if (known !== null) return { id: known, isNew: false };
    const id = events.insert(member, false);
    assert(id !== null, "an event that is not there can be inserted");
    return { id, isNew: true };
  }

  function move(place: RetryPlace, notBeforeMs: number): RetryPlace {
    moveItem.run(notBeforeMs, place.notBeforeMs, place.id);
    return { notBeforeMs, id: place.id };
  }

  return {
    move,
    insert(item, bytes) {
      const { cause, endpointId, generation, attempt, deferrals, unmade, putAside, group, notBeforeMs } = item;
      const id = ++idLast;
      let isRepeat = false;
      item.members.forEach((member, position) => {
        const event = keep(member);
        // An event that is new to us by `deliver_at` was never worked on; one that is known may have been.
        isRepeat ||= cause === "deliver-at" && !event.isNew;
        insertMember.run(id, position, event.id);
      });
      const groupValues = [group?.id ?? null, group?.closedAtMs ?? null] as const;
      const values = [cause, endpointId, generation, attempt, deferrals, ...groupValues, isRepeat ? 1 : 0, bytes];
      insertItem.run(notBeforeMs, id, ...values, unmade, putAside);
      return { notBeforeMs, id };
    },
    remove(place) {
      if (Number(removeItem.run(place.notBeforeMs, place.id).changes) === 0) return false;
      removeMembers.run(place.id);
      return true;
    },
    recall(endpointId, nowMs, max, isFree) {
      const free = deferred.all(endpointId, nowMs, max).filter(({ id }) => isFree(id));
      return free.map((place) => move(place, nowMs));
    },
    advance(after, { ms, idMax, max, isFree }) {
      const rows = following.all(after.notBeforeMs, after.id, max);
      const meant = rows.filter(({ id, cause }) => id <= idMax && cause !== "deliver-at" && isFree(id));
      const moved = meant.map((place) => move(place, place.notBeforeMs - ms));
      return { moved, last: rows.at(-1) ?? null };
    },
    idLast: () => idLast,
  };
}

function createRetryReads(database: Database): Pick<RetryRows, "due" | "nextDueAtMs" | "read"> {
  const due = database.prepare<RetryPlace>(
    `SELECT not_before AS notBeforeMs, id FROM retry_items
     WHERE (not_before, id) > (?, ?) AND not_before <= ? AND ${IS_OURS} ORDER BY not_before, id LIMIT ?`,
  );
  const next = database.prepare<{ not_before: number }>(
    `SELECT not_before FROM retry_items WHERE (not_before, id) > (?, ?) AND ${IS_OURS} ORDER BY not_before, id LIMIT 1`,
  );
  const readItem = database.prepare<ItemRow>("SELECT * FROM retry_items WHERE not_before = ? AND id = ?");
  const readMembers = database.prepare<EnvelopeRow>(
    `SELECT ${ENVELOPE_COLUMNS} FROM retry_members m CROSS JOIN events e ON e.id = m.event
     WHERE m.item = ? ORDER BY m.position`,
  );
  return {
    due: (floor, nowMs, max) => due.all(floor.notBeforeMs, floor.id, nowMs, max),
    nextDueAtMs: (floor) => next.get(floor?.notBeforeMs ?? -1, floor?.id ?? 0)?.not_before ?? null,
    read(place, repeatIdMax) {
      const row = readItem.get(place.notBeforeMs, place.id);
      assert(row !== undefined, "a place that was just read is there");
      const found = readMembers.all(place.id);
      const members = found.flatMap((member) => readableEnvelope(member) ?? []);
      if (!v.is(StoredItem, row) || members.length < found.length || !isOneTenants(members)) return null;
      return {
        cause: row.cause,
        notBeforeMs: place.notBeforeMs,
        endpointId: row.endpoint_id,
        generation: row.generation,
        attempt: row.attempt,
        deferrals: row.parks,
        unmade: row.unmade,
        putAside: row.put_aside,
        members,
        group: groupOf(row),
        isRepeat: row.is_repeat === 1 || place.id <= repeatIdMax,
        handle: place,
      };
    },
  };
}

/** What a processor schedules; a row may have been edited by anyone. */
const StoredItem = v.object({
  cause: v.picklist(["retry", "parked", "replay", "deliver-at", "relieved"]),
  endpoint_id: v.nullable(RecordedName),
  generation: TimeMs,
  attempt: v.pipe(v.number(), v.minValue(1), v.maxValue(ATTEMPTS_MAX)),
  parks: TimeMs,
  unmade: TimeMs,
  put_aside: TimeMs,
  group_id: v.nullable(RecordedName),
  group_closed_at: v.nullable(TimeMs),
});

function isOneTenants(members: readonly Envelope[]): boolean {
  return members.length > 0 && members.every(({ tenant }) => tenant === members[0]?.tenant);
}

function groupOf(row: ItemRow): Group | null {
  if (row.group_id === null || row.group_closed_at === null) return null;
  return { id: row.group_id, closedAtMs: row.group_closed_at };
}
