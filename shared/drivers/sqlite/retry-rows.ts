/** The rows of the retry queue: an item, its members by reference to the events, and its place in the order of time. */
import type { Envelope } from "../../domain/envelope.ts";
import { assert } from "../../lib/assert.ts";
import type { RetryItem, ScheduleCause, Scheduled } from "../../ports/retry-queue.ts";
import type { Database } from "./database.ts";
import type { EnvelopeRow, EventStore } from "./event-store.ts";
import { ENVELOPE_COLUMNS, envelopeOf } from "./event-store.ts";

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
  readonly group_id: string | null;
  readonly group_closed_at: number | null;
  readonly is_repeat: number;
}

export interface RetryRows {
  totals(): { readonly count: number; readonly bytes: number; readonly idLast: number };
  /** Within an operation of the writer. */
  insert(item: Scheduled, bytes: number): RetryPlace;
  remove(place: RetryPlace): boolean;
  /** At most `max` places after `floor` that are due, in order. */
  due(floor: RetryPlace, nowMs: number, max: number): readonly RetryPlace[];
  /** The earliest time after `floor`; null when there is none. */
  nextDueAtMs(floor: RetryPlace | null): number | null;
  read(place: RetryPlace, repeatIdMax: number): RetryItem;
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
  const insertItem = database.prepare("INSERT INTO retry_items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  const insertMember = database.prepare("INSERT INTO retry_members VALUES (?, ?, ?)");
  const removeItem = database.prepare("DELETE FROM retry_items WHERE not_before = ? AND id = ?");
  const removeMembers = database.prepare("DELETE FROM retry_members WHERE item = ?");
  const due = database.prepare<RetryPlace>(
    `SELECT not_before AS notBeforeMs, id FROM retry_items
     WHERE (not_before, id) > (?, ?) AND not_before <= ? ORDER BY not_before, id LIMIT ?`,
  );
  const next = database.prepare<{ not_before: number }>(
    "SELECT not_before FROM retry_items WHERE (not_before, id) > (?, ?) ORDER BY not_before, id LIMIT 1",
  );
  const readItem = database.prepare<ItemRow>("SELECT * FROM retry_items WHERE not_before = ? AND id = ?");
  const readMembers = database.prepare<EnvelopeRow>(
    `SELECT ${ENVELOPE_COLUMNS} FROM retry_members m CROSS JOIN events e ON e.id = m.event WHERE m.item = ? ORDER BY m.position`,
  );
  let idLast = totals().idLast;

  function totals() {
    const sql = "SELECT count(*) AS count, sum(bytes) AS bytes, max(id) AS id FROM retry_items";
    const found = database.prepare<{ count: number; bytes: number | null; id: number | null }>(sql).get();
    assert(found !== undefined, "a count has a row");
    return { count: found.count, bytes: found.bytes ?? 0, idLast: found.id ?? 0 };
  }

  /** The row of a member; an event that was pruned since (a replayed dead letter) is written again. */
  function keep(member: Envelope): { readonly id: number; readonly isNew: boolean } {
    const known = events.find(member.tenant, member.id);
    if (known !== null) return { id: known, isNew: false };
    const id = events.insert(member, false);
    assert(id !== null, "an event that is not there can be inserted");
    return { id, isNew: true };
  }

  return {
    totals,
    insert(item, bytes) {
      const id = ++idLast;
      let isRepeat = false;
      item.members.forEach((member, position) => {
        const event = keep(member);
        // An event that is new to us by `deliver_at` was never worked on; one that is known may have been.
        isRepeat ||= item.cause === "deliver-at" && !event.isNew;
        insertMember.run(id, position, event.id);
      });
      const group = item.group;
      insertItem.run(
        item.notBeforeMs,
        id,
        item.cause,
        item.endpointId,
        item.generation,
        item.attempt,
        item.parks,
        group?.id ?? null,
        group?.closedAtMs ?? null,
        isRepeat ? 1 : 0,
        bytes,
      );
      return { notBeforeMs: item.notBeforeMs, id };
    },
    remove(place) {
      if (Number(removeItem.run(place.notBeforeMs, place.id).changes) === 0) return false;
      removeMembers.run(place.id);
      return true;
    },
    due: (floor, nowMs, max) => due.all(floor.notBeforeMs, floor.id, nowMs, max),
    nextDueAtMs: (floor) => next.get(floor?.notBeforeMs ?? -1, floor?.id ?? 0)?.not_before ?? null,
    read(place, repeatIdMax) {
      const row = readItem.get(place.notBeforeMs, place.id);
      assert(row !== undefined, "a place that was just read is there");
      return {
        cause: row.cause as ScheduleCause,
        notBeforeMs: place.notBeforeMs,
        endpointId: row.endpoint_id,
        generation: row.generation,
        attempt: row.attempt,
        parks: row.parks,
        members: readMembers.all(place.id).map(envelopeOf),
        group:
          row.group_id === null || row.group_closed_at === null
            ? null
            : { id: row.group_id, closedAtMs: row.group_closed_at },
        isRepeat: row.is_repeat === 1 || place.id <= repeatIdMax,
        handle: place,
      };
    },
  };
}
