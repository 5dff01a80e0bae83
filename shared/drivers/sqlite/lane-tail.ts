/**
 * What one lane can hand out, without a write and mostly without a read. While waiters keep up, items go from the
 * append to them in memory; when they fall behind, memory is given up and rows are read from the cursor on. Everything
 * is synchronous, and appends arrive after their COMMIT, so there is no moment at which an item could be missed.
 */
import type { Envelope } from "../../domain/envelope.ts";
import type { Lane } from "../../domain/event.ts";
import { Fifo } from "../../lib/fifo.ts";
import type { LaneItem } from "../../ports/lanes.ts";
import type { Database } from "./database.ts";
import type { EnvelopeRow } from "./event-store.ts";
import { ENVELOPE_COLUMNS, envelopeOf } from "./event-store.ts";

/** Freshly appended items that one lane keeps in memory for its waiters. */
export const FRESH_ITEMS_MAX = 10_000;
export const FRESH_BYTES_MAX = 16 * 1024 * 1024;

/** Rows read at once when waiters are behind: at most 64 bodies of 256 KiB in memory. */
const READ_AHEAD = 64;

/** `is_laned` of an event that the retry queue had before the lane, and that may have been worked on. */
const LATE = 2;

export interface LaneTail {
  /** After COMMIT: a new row. `isLate` when the event was known before, so that its id may be behind the cursor. */
  appended(id: number, envelope: Envelope, isLate: boolean): void;
  released(items: readonly LaneItem[]): void;
  pull(max: number): LaneItem[];
}

export function createLaneTail(options: {
  readonly database: Database;
  readonly lane: Lane;
  readonly code: number;
  /** Rows up to this id were there at open and may have been worked on. */
  readonly foundIdMax: number;
}): LaneTail {
  const { lane, foundIdMax } = options;
  const select = options.database.prepare<EnvelopeRow & { id: number; is_laned: number }>(
    `SELECT e.id, e.is_laned, ${ENVELOPE_COLUMNS} FROM lane_items l CROSS JOIN events e ON e.id = l.event
     WHERE l.lane = ${options.code} AND l.event > ? ORDER BY l.event LIMIT ?`,
  );
  let returned: LaneItem[] = [];
  const fresh = createFreshItems();
  /** The highest id that is in `fresh` or was handed out. */
  let cursor = 0;
  let isBehind = foundIdMax > 0;

  function item(id: number, envelope: Envelope, isLate: boolean): LaneItem {
    return { lane, envelope, isRepeat: isLate || id <= foundIdMax, handle: id };
  }

  /** Reads on into memory, more than was asked for: a busy waiter asks for one item at a time. */
  function readAhead(): void {
    const rows = select.all(cursor, READ_AHEAD);
    for (const row of rows) {
      fresh.push(item(row.id, envelopeOf(row), row.is_laned === LATE));
      cursor = row.id;
    }
    if (rows.length < READ_AHEAD) isBehind = false;
  }

  return {
    appended(id, envelope, isLate) {
      if (isLate && id <= cursor) returned.push(item(id, envelope, isLate));
      if (isBehind || id <= cursor) return;
      isBehind = !fresh.hasRoomFor(envelope);
      if (isBehind) return;
      fresh.push(item(id, envelope, isLate));
      cursor = id;
    },
    released(items) {
      returned.push(...items.map((own) => ({ ...own, isRepeat: true })));
    },
    pull(max) {
      const list = returned.length > 0 ? returned.splice(0, max) : [];
      if (list.length < max) fresh.moveTo(list, max - list.length);
      while (list.length < max && isBehind) {
        try {
          readAhead();
        } catch (error) {
          // What memory gave must not get lost; the next pull meets the error again.
          if (list.length === 0) throw error;
          break;
        }
        fresh.moveTo(list, max - list.length);
      }
      return list;
    },
  };
}

function createFreshItems() {
  const items = new Fifo<LaneItem>();
  let bytes = 0;
  return {
    hasRoomFor: (envelope: Envelope): boolean =>
      items.length < FRESH_ITEMS_MAX && bytes + envelope.body.length <= FRESH_BYTES_MAX,
    push(item: LaneItem): void {
      items.push(item);
      bytes += item.envelope.body.length;
    },
    moveTo(list: LaneItem[], max: number): void {
      for (const item of items.shiftUpTo(max)) {
        list.push(item);
        bytes -= item.envelope.body.length;
      }
    },
  };
}
